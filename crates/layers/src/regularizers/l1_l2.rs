use super::{sum_abs, sum_squares};
use sconce_core::{Config, Regularizer, Result, Tensor};

/// `l1 * sum(|x|) + l2 * sum(x^2)`. Both factors are 0 unless given, as in Keras, so that the bare name
/// is no penalty at all. Keras: `L1L2`, `"l1_l2"`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(new(l1, l2))]
pub struct L1L2 {
    /// Factor of the absolute values, at least 0. Default 0.
    #[config(default = 0.0, range = "[0, inf)")]
    pub l1: f64,
    /// Factor of the squares, at least 0. Default 0.
    #[config(default = 0.0, range = "[0, inf)")]
    pub l2: f64,
}

impl Regularizer for L1L2 {
    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        Ok(((sum_abs(weight)? * self.l1)? + (sum_squares(weight)? * self.l2)?)?)
    }
}
