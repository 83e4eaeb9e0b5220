use super::sum_squares;
use crate::fields::require_non_negative;
use sconce_core::{Regularizer, Result, Tensor};
use serde::{Deserialize, Serialize};

/// `l2 * sum(x^2)`. Keras: `L2`, `"l2"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct L2 {
    /// Factor, at least 0; 0.01.
    pub l2: f64,
}

impl Default for L2 {
    fn default() -> Self {
        Self { l2: 0.01 }
    }
}

impl L2 {
    /// With a factor.
    pub fn new(l2: f64) -> Self {
        Self { l2 }
    }
}

impl Regularizer for L2 {
    fn check(&self) -> Result<()> {
        require_non_negative("l2", self.l2)
    }

    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        Ok((sum_squares(weight)? * self.l2)?)
    }
}
