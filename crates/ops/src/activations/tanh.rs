//! `tanh(x) = (e^x - e^-x) / (e^x + e^-x)`.

use super::Elementwise;
use candle_core::{Result, Tensor};
use sconce_core::Config;
use sconce_kernels::math;

/// The hyperbolic tangent.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "tanh")]
pub struct Tanh {}

impl Elementwise for Tanh {
    const NAME: &'static str = "tanh";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        math::tanh(x)
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        // More exact near 1 than 1 - y^2.
        (1.0 - y) * (1.0 + y)
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x.tanh()
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        (1.0 - y)? * (1.0 + y)?
    }
}
