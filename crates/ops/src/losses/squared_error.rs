//! `(x - t)^2`.

use super::Pointwise;
use candle_core::{Result, Tensor};

/// The squared difference.
#[derive(Clone, Copy, Debug)]
pub struct SquaredError;

impl Pointwise for SquaredError {
    const NAME: &'static str = "mean_squared_error";

    #[inline(always)]
    fn value(self, x: f32, t: f32) -> f32 {
        (x - t) * (x - t)
    }

    #[inline(always)]
    fn slope(self, x: f32, t: f32) -> f32 {
        2.0 * (x - t)
    }

    fn compose(self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        (x - t)?.sqr()
    }

    fn compose_slope(self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        (x - t)? * 2.0
    }
}
