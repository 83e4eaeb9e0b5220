//! `hard_tanh(x) = min(max(x, -1), 1)`.

use super::Elementwise;
use super::composed::flag;
use candle_core::{Result, Tensor};
use sconce_core::Config;

/// A tanh of three straight lines. The slope at -1 and 1 is 1.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "hard_tanh")]
pub struct HardTanh {}

impl Elementwise for HardTanh {
    const NAME: &'static str = "hard_tanh";

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let y = if x < -1.0 { -1.0 } else { x };
        if y > 1.0 { 1.0 } else { y }
    }

    #[inline(always)]
    fn slope(self, x: f32, _: f32) -> f32 {
        if x.abs() <= 1.0 { 1.0 } else { 0.0 }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x.maximum(-1f64)?.minimum(1f64)
    }

    fn compose_slope(self, x: &Tensor, _: &Tensor) -> Result<Tensor> {
        flag(&x.abs()?.le(1f64)?, x)
    }
}
