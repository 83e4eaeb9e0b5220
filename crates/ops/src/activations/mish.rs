//! `mish(x) = x * tanh(softplus(x))`.

use super::{Elementwise, composed};
use candle_core::{Result, Tensor};
use sconce_core::Config;
use sconce_kernels::math;

/// A self-gated unit ([Misra, 2019](https://arxiv.org/abs/1908.08681)).
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "mish")]
pub struct Mish {}

impl Mish {
    /// tanh(softplus(x)) = n / d and 1 - its square as r (n + d) / d^2, r = d - n; and sigmoid(x). With
    /// e = e^x these are n = e (e + 2), d = n + 2, and for x > 0 the same divided by e^2, so that nothing
    /// overflows.
    #[inline(always)]
    fn gates(x: f32) -> (f32, f32, f32) {
        let e = math::exp(-x.abs());
        let (n, r) = if x > 0.0 { (1.0 + 2.0 * e, 2.0 * e * e) } else { (e * (e + 2.0), 2.0) };
        let inverse = 1.0 / (n + r);
        let gate = n * inverse;
        let sigmoid = if x > 0.0 { 1.0 } else { e } / (1.0 + e);
        (gate, r * inverse * (1.0 + gate), sigmoid)
    }
}

impl Elementwise for Mish {
    const NAME: &'static str = "mish";

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x * Self::gates(x).0
    }

    #[inline(always)]
    fn slope(self, x: f32, _: f32) -> f32 {
        let (gate, rest, sigmoid) = Self::gates(x);
        gate + x * rest * sigmoid
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x * composed::softplus(x)?.tanh()?
    }

    fn compose_slope(self, x: &Tensor, _: &Tensor) -> Result<Tensor> {
        let gate = composed::softplus(x)?.tanh()?;
        let rest = (1.0 - gate.sqr()?)?;
        gate + ((x * rest)? * composed::sigmoid(x)?)?
    }
}
