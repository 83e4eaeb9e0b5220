//! `relu6(x) = min(max(x, 0), 6)`.

use super::Elementwise;
use super::composed::flag;
use candle_core::{Result, Tensor};
use sconce_core::Config;

/// Rectified linear unit up to 6. The slope is 0 at both ends.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "relu6")]
pub struct Relu6 {}

impl Elementwise for Relu6 {
    const NAME: &'static str = "relu6";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let y = if x < 0.0 { 0.0 } else { x };
        if y > 6.0 { 6.0 } else { y }
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        if y > 0.0 && y < 6.0 { 1.0 } else { 0.0 }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x.maximum(0f64)?.minimum(6f64)
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        flag(&y.gt(0f64)?, y)? * flag(&y.lt(6f64)?, y)?
    }
}
