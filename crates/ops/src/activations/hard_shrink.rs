//! `hard_shrink(x) = x` for |x| > threshold, else 0.

use super::Elementwise;
use super::composed::flag;
use candle_core::{Result, Tensor};
use sconce_core::Config;

/// Drops everything up to a threshold. The slope is 0 up to the threshold and there.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "hard_shrink")]
pub struct HardShrink {
    /// Up to which size values are dropped; not negative. Default 0.5.
    #[config(default = 0.5)]
    pub threshold: f64,
}

impl Elementwise for HardShrink {
    const NAME: &'static str = "hard_shrink";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        if x.abs() <= self.threshold as f32 { 0.0 } else { x }
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        if y == 0.0 { 0.0 } else { 1.0 }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x.abs()?.le(self.threshold)?.where_cond(&x.zeros_like()?, x)
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        flag(&y.ne(0f64)?, y)
    }
}
