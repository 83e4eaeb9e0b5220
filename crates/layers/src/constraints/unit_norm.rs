use super::{Axis, EPSILON};
use sconce_core::{Constraint, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Scales weights to the norm 1: `w / (norm + 1e-7)`. Keras: `UnitNorm`, `"unit_norm"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnitNorm {
    /// Axes along which norms are taken; 0.
    pub axis: Axis,
}

impl UnitNorm {
    /// With other axes than 0.
    pub fn axis(mut self, axis: impl Into<Axis>) -> Self {
        self.axis = axis.into();
        self
    }
}

impl Constraint for UnitNorm {
    fn project(&self, weight: &Tensor) -> Result<Tensor> {
        let norms = self.axis.norms(weight)?;
        Ok(weight.broadcast_div(&(norms + EPSILON)?)?)
    }
}
