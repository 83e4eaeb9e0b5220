//! `exponential(x) = e^x`.

use super::Elementwise;
use candle_core::{Result, Tensor};
use sconce_core::Config;
use sconce_kernels::math;

/// The exponential function. Infinite above 88.7 in f32.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "exponential")]
pub struct Exponential {}

impl Elementwise for Exponential {
    const NAME: &'static str = "exponential";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        math::exp(x)
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        y
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x.exp()
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        Ok(y.clone())
    }
}
