//! `silu(x) = x * sigmoid(x)`.

use super::{Elementwise, composed};
use candle_core::{Result, Tensor};
use sconce_core::Config;
use sconce_kernels::math;

/// Sigmoid linear unit, also called swish
/// ([Ramachandran et al., 2017](https://arxiv.org/abs/1710.05941)).
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "silu")]
pub struct Silu {}

impl Elementwise for Silu {
    const NAME: &'static str = "silu";

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x * math::sigmoid(x)
    }

    #[inline(always)]
    fn slope(self, x: f32, _: f32) -> f32 {
        // s + x s (1 - s), where 1 - s is sigmoid(-x).
        let e = math::exp(-x.abs());
        let large = 1.0 / (1.0 + e);
        let small = e * large;
        let (s, rest) = if x >= 0.0 { (large, small) } else { (small, large) };
        s * (1.0 + x * rest)
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x * composed::sigmoid(x)?
    }

    fn compose_slope(self, x: &Tensor, _: &Tensor) -> Result<Tensor> {
        let s = composed::sigmoid(x)?;
        let rest = composed::sigmoid(&x.neg()?)?;
        &s * ((x * rest)? + 1.0)?
    }
}
