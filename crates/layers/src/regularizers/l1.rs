use super::sum_abs;
use sconce_core::{Config, Regularizer, Result, Tensor};

/// `l1 * sum(|x|)`. Keras: `L1`, `"l1"`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(new(l1))]
pub struct L1 {
    /// Factor, at least 0. Default 0.01.
    #[config(default = 0.01, range = "[0, inf)")]
    pub l1: f64,
}

impl Regularizer for L1 {
    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        Ok((sum_abs(weight)? * self.l1)?)
    }
}
