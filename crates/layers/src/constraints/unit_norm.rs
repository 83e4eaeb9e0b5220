use super::{Axis, EPSILON};
use sconce_core::{Config, Constraint, Result, Tensor};

/// Scales weights to the norm 1: `w / (norm + 1e-7)`. Keras: `UnitNorm`, `"unit_norm"`.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct UnitNorm {
    /// Axes along which norms are taken. Default 0.
    #[config(default)]
    pub axis: Axis,
}

impl Constraint for UnitNorm {
    fn project(&self, weight: &Tensor) -> Result<Tensor> {
        let norms = self.axis.norms(weight)?;
        Ok(weight.broadcast_div(&(norms + EPSILON)?)?)
    }
}
