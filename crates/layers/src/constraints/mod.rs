//! Constraints: projections applied to a weight after each update.
//!
//! A member's file holds its configuration and formula; `axis` says along which axes norms are taken.

mod axis;
mod max_norm;
mod min_max_norm;
mod non_neg;
mod unit_norm;

pub use axis::Axis;
pub use max_norm::MaxNorm;
pub use min_max_norm::MinMaxNorm;
pub use non_neg::NonNeg;
pub use unit_norm::UnitNorm;

use sconce_core::{Entry, Kind, Part, Result, registry};

/// The table of constraints.
pub struct Constraints;

/// A configured constraint. Layers hold `Option<Constraint>`; `null` in JSON is `None`.
pub type Constraint = Part<Constraints>;

impl Kind for Constraints {
    type Object = dyn sconce_core::Constraint;
    const NAME: &'static str = "constraint";
    const MODULE: &'static str = "keras.constraints";

    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }

    fn check(object: &Self::Object) -> Result<()> {
        object.check()
    }
}

registry! {
    Constraints(sconce_core::Constraint):
    MaxNorm ["max_norm"];
    MinMaxNorm ["min_max_norm"];
    NonNeg ["non_neg"];
    UnitNorm ["unit_norm"];
}

/// Keras's backend.epsilon(), added to a norm before dividing by it.
const EPSILON: f64 = 1e-7;

#[cfg(test)]
mod tests;
