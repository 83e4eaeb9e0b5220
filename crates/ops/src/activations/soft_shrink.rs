//! `soft_shrink(x) = sign(x) * max(|x| - threshold, 0)`.

use super::Elementwise;
use super::composed::flag;
use candle_core::{Result, Tensor};
use sconce_core::Config;

/// Moves everything towards 0 by a threshold. The slope is 0 up to the threshold and there.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "soft_shrink")]
pub struct SoftShrink {
    /// How far; not negative. Default 0.5.
    #[config(default = 0.5)]
    pub threshold: f64,
}

impl Elementwise for SoftShrink {
    const NAME: &'static str = "soft_shrink";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let threshold = self.threshold as f32;
        if x.abs() <= threshold { 0.0 } else { x - threshold.copysign(x) }
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        if y == 0.0 { 0.0 } else { 1.0 }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x - x.maximum(-self.threshold)?.minimum(self.threshold)?
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        flag(&y.ne(0f64)?, y)
    }
}
