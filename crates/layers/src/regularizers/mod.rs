//! Regularizers: penalties on a weight (or on a layer's output) that are added to the loss.
//!
//! A member's file holds its configuration and formula. Penalties are composed of candle operations,
//! so that they are differentiable on every device. The slope of |x| at 0 is 1, as it is for Keras
//! on JAX, with which our numbers are compared (on TensorFlow and PyTorch it is 0).

mod l1;
mod l1_l2;
mod l2;
mod orthogonal_regularizer;

pub use l1::L1;
pub use l1_l2::L1L2;
pub use l2::L2;
pub use orthogonal_regularizer::{OrthogonalRegularizer, Orthogonality};

use sconce_core::{Entry, Kind, Part, Result, Tensor, registry};

/// The table of regularizers.
pub struct Regularizers;

/// A configured regularizer. Layers hold `Option<Regularizer>`; `null` in JSON is `None`.
pub type Regularizer = Part<Regularizers>;

impl Kind for Regularizers {
    type Object = dyn sconce_core::Regularizer;
    const NAME: &'static str = "regularizer";
    const MODULE: &'static str = "keras.regularizers";

    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }

    fn check(object: &Self::Object) -> Result<()> {
        object.check()
    }
}

registry! {
    Regularizers(sconce_core::Regularizer):
    L1 ["l1"];
    L2 ["l2"];
    L1L2 ["l1_l2"];
    OrthogonalRegularizer ["orthogonal_regularizer"];
}

/// The sum of |x|.
fn sum_abs(x: &Tensor) -> Result<Tensor> {
    Ok(x.abs()?.sum_all()?)
}

/// The sum of x^2.
fn sum_squares(x: &Tensor) -> Result<Tensor> {
    Ok(x.sqr()?.sum_all()?)
}

#[cfg(test)]
mod tests;
