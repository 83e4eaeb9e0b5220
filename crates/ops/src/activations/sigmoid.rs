//! `sigmoid(x) = 1 / (1 + e^-x)`.

use super::{Elementwise, Range};
use crate::kernels::math;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// The logistic function.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sigmoid {}

impl Elementwise for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const FROM_RESULT: bool = true;
    const RANGE: Range = Range::Probability;

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        math::sigmoid(x)
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        y * (1.0 - y)
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        // 1 / (1 + e^-x) is exact at both ends: e^-x overflows to infinity, whose inverse is 0.
        (x.neg()?.exp()? + 1.0)?.recip()
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        y * (1.0 - y)?
    }
}
