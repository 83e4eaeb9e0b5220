use super::{Axis, EPSILON};
use sconce_core::{Config, Constraint, Result, Tensor};

/// Scales weights down to a norm of at most `max_value`: `w * min(norm, max_value) / (norm + 1e-7)`.
/// Keras: `MaxNorm`, `"max_norm"`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(new(max_value))]
pub struct MaxNorm {
    /// Largest norm, at least 0. Default 2.
    #[config(default = 2.0, range = "[0, inf)")]
    pub max_value: f64,
    /// Axes along which norms are taken. Default 0.
    #[config(default)]
    pub axis: Axis,
}

impl Constraint for MaxNorm {
    fn project(&self, weight: &Tensor) -> Result<Tensor> {
        let norms = self.axis.norms(weight)?;
        let wanted = norms.minimum(self.max_value)?;
        Ok(weight.broadcast_mul(&(wanted / (norms + EPSILON)?)?)?)
    }
}
