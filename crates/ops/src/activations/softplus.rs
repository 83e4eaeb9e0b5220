//! `softplus(x) = ln(1 + e^x)`.

use super::{Elementwise, composed};
use candle_core::{Result, Tensor};
use sconce_core::Config;
use sconce_kernels::math;

/// A smooth max(x, 0).
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "softplus")]
pub struct Softplus {}

impl Elementwise for Softplus {
    const NAME: &'static str = "softplus";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        math::softplus(x)
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        // sigmoid(x) = 1 - e^-y.
        -math::exp_m1(-y)
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        composed::softplus(x)
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        composed::exp_m1(&y.neg()?)?.neg()
    }
}
