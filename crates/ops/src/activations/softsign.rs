//! `softsign(x) = x / (1 + |x|)`.

use super::Elementwise;
use candle_core::{Result, Tensor};
use sconce_core::Config;

/// A sigmoid-like curve from -1 to 1 with polynomial tails.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "softsign")]
pub struct Softsign {}

impl Elementwise for Softsign {
    const NAME: &'static str = "softsign";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x / (1.0 + x.abs())
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        // 1 / (1 + |x|) = 1 - |y|.
        let t = 1.0 - y.abs();
        t * t
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x / (x.abs()? + 1.0)?
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        (1.0 - y.abs()?)?.sqr()
    }
}
