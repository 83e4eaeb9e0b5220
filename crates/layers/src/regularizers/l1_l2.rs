use super::{sum_abs, sum_squares};
use crate::fields::require_non_negative;
use sconce_core::{Regularizer, Result, Tensor};
use serde::{Deserialize, Serialize};

/// `l1 * sum(|x|) + l2 * sum(x^2)`. Both factors are 0 unless given, as in Keras, so that the bare name
/// is no penalty at all. Keras: `L1L2`, `"l1_l2"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct L1L2 {
    /// Factor of the absolute values, at least 0; 0.
    pub l1: f64,
    /// Factor of the squares, at least 0; 0.
    pub l2: f64,
}

impl L1L2 {
    /// With both factors.
    pub fn new(l1: f64, l2: f64) -> Self {
        Self { l1, l2 }
    }
}

impl Regularizer for L1L2 {
    fn check(&self) -> Result<()> {
        require_non_negative("l1", self.l1)?;
        require_non_negative("l2", self.l2)
    }

    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        Ok(((sum_abs(weight)? * self.l1)? + (sum_squares(weight)? * self.l2)?)?)
    }
}
