//! `|x - t|`, with slope 0 at 0.

use super::Pointwise;
use candle_core::{Result, Tensor};

/// The absolute difference.
#[derive(Clone, Copy, Debug)]
pub struct AbsoluteError;

impl Pointwise for AbsoluteError {
    const NAME: &'static str = "mean_absolute_error";

    #[inline(always)]
    fn value(self, x: f32, t: f32) -> f32 {
        (x - t).abs()
    }

    #[inline(always)]
    fn slope(self, x: f32, t: f32) -> f32 {
        f32::from(x > t) - f32::from(x < t)
    }

    fn compose(self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        (x - t)?.abs()
    }

    fn compose_slope(self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        x.gt(t)?.to_dtype(x.dtype())? - x.lt(t)?.to_dtype(x.dtype())?
    }
}
