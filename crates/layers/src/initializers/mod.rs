//! Initializers: the first values of weights.
//!
//! Separation of concerns: a member's file holds its configuration and formula, `draw` turns random
//! bits into samples, `fans` reads the fans off a weight's shape. The values of a weight depend only
//! on the model's seed, the weight's path and shape, or on the initializer's own `seed`, not on
//! the device or the number of threads.

mod constant;
pub(crate) mod draw;
mod fans;
mod glorot_normal;
mod glorot_uniform;
mod he_normal;
mod he_uniform;
mod identity;
mod lecun_normal;
mod lecun_uniform;
mod ones;
mod orthogonal;
mod random_normal;
mod random_uniform;
mod stft;
mod truncated_normal;
mod variance_scaling;
mod windows;
mod zeros;

pub use crate::ConstantValue;
pub use constant::Constant;
pub use fans::fans;
pub use glorot_normal::GlorotNormal;
pub use glorot_uniform::GlorotUniform;
pub use he_normal::HeNormal;
pub use he_uniform::HeUniform;
pub use identity::Identity;
pub use lecun_normal::LecunNormal;
pub use lecun_uniform::LecunUniform;
pub use ones::Ones;
pub use orthogonal::Orthogonal;
pub use random_normal::RandomNormal;
pub use random_uniform::RandomUniform;
pub use stft::{Scaling, Side, Stft, Window};
pub use truncated_normal::TruncatedNormal;
pub use variance_scaling::{Distribution, Mode, VarianceScaling};
pub use zeros::Zeros;

use sconce_core::{Entry, Kind, Part, Result, registry};

/// The table of initializers.
pub struct Initializers;

/// A configured initializer, as layers hold it: `"he_normal".into()`, `HeNormal::default().into()`,
/// or from JSON.
pub type Initializer = Part<Initializers>;

impl Kind for Initializers {
    type Object = dyn sconce_core::Initializer;
    const NAME: &'static str = "initializer";
    const MODULE: &'static str = "keras.initializers";

    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }

    fn check(object: &Self::Object) -> Result<()> {
        object.check()
    }
}

registry! {
    Initializers(sconce_core::Initializer):
    Constant ["constant"];
    Identity ["identity", "IdentityInitializer"];
    Ones ["ones", "one"];
    Stft ["stft", "STFTInitializer"];
    Zeros ["zeros", "zero"];
    GlorotNormal ["glorot_normal"];
    GlorotUniform ["glorot_uniform"];
    HeNormal ["he_normal"];
    HeUniform ["he_uniform"];
    LecunNormal ["lecun_normal"];
    LecunUniform ["lecun_uniform"];
    Orthogonal ["orthogonal", "OrthogonalInitializer"];
    RandomNormal ["random_normal", "normal"];
    RandomUniform ["random_uniform", "uniform"];
    TruncatedNormal ["truncated_normal"];
    VarianceScaling ["variance_scaling"];
}

#[cfg(test)]
mod tests;
