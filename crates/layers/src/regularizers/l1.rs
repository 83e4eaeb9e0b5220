use super::sum_abs;
use crate::fields::require_non_negative;
use sconce_core::{Regularizer, Result, Tensor};
use serde::{Deserialize, Serialize};

/// `l1 * sum(|x|)`. Keras: `L1`, `"l1"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct L1 {
    /// Factor, at least 0; 0.01.
    pub l1: f64,
}

impl Default for L1 {
    fn default() -> Self {
        Self { l1: 0.01 }
    }
}

impl L1 {
    /// With a factor.
    pub fn new(l1: f64) -> Self {
        Self { l1 }
    }
}

impl Regularizer for L1 {
    fn check(&self) -> Result<()> {
        require_non_negative("l1", self.l1)
    }

    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        Ok((sum_abs(weight)? * self.l1)?)
    }
}
