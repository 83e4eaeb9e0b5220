//! `sigmoid(x) = 1 / (1 + e^-x)`.

use super::{Elementwise, Range, composed};
use candle_core::{Result, Tensor};
use sconce_core::Config;
use sconce_kernels::math;

/// The logistic function.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "sigmoid")]
pub struct Sigmoid {}

impl Elementwise for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const RANGE: Range = Range::Probability;

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        math::sigmoid(x)
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        y * (1.0 - y)
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        composed::sigmoid(x)
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        y * (1.0 - y)?
    }
}
