//! `tanh_shrink(x) = x - tanh(x)`.

use super::Elementwise;
use candle_core::{Result, Tensor};
use sconce_core::Config;
use sconce_kernels::math;

/// What tanh takes away.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "tanh_shrink")]
pub struct TanhShrink {}

impl Elementwise for TanhShrink {
    const NAME: &'static str = "tanh_shrink";

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        math::tanh_shrink(x)
    }

    #[inline(always)]
    fn slope(self, x: f32, _: f32) -> f32 {
        let t = math::tanh(x);
        t * t
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x - x.tanh()?
    }

    fn compose_slope(self, x: &Tensor, _: &Tensor) -> Result<Tensor> {
        x.tanh()?.sqr()
    }
}
