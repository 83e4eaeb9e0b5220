use super::{Axis, EPSILON};
use crate::fields::require_non_negative;
use sconce_core::{Constraint, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Scales weights down to a norm of at most `max_value`: `w * min(norm, max_value) / (norm + 1e-7)`.
/// Keras: `MaxNorm`, `"max_norm"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaxNorm {
    /// Largest norm, at least 0; 2.
    pub max_value: f64,
    /// Axes along which norms are taken; 0.
    pub axis: Axis,
}

impl Default for MaxNorm {
    fn default() -> Self {
        Self::new(2.0)
    }
}

impl MaxNorm {
    /// With a largest norm.
    pub fn new(max_value: f64) -> Self {
        Self { max_value, axis: Axis::default() }
    }

    /// With other axes than 0.
    pub fn axis(mut self, axis: impl Into<Axis>) -> Self {
        self.axis = axis.into();
        self
    }
}

impl Constraint for MaxNorm {
    fn check(&self) -> Result<()> {
        require_non_negative("max_value", self.max_value)
    }

    fn project(&self, weight: &Tensor) -> Result<Tensor> {
        let norms = self.axis.norms(weight)?;
        let wanted = norms.minimum(self.max_value)?;
        Ok(weight.broadcast_mul(&(wanted / (norms + EPSILON)?)?)?)
    }
}
