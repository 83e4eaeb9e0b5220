use super::sum_squares;
use sconce_core::{Config, Regularizer, Result, Tensor};

/// `l2 * sum(x^2)`. Keras: `L2`, `"l2"`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(new(l2))]
pub struct L2 {
    /// Factor, at least 0. Default 0.01.
    #[config(default = 0.01, range = "[0, inf)")]
    pub l2: f64,
}

impl Regularizer for L2 {
    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        Ok((sum_squares(weight)? * self.l2)?)
    }
}
