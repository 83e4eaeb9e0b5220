//! `mish(x) = x * tanh(softplus(x))`.

use super::Elementwise;
use crate::number::{Mask, Number};
use sconce_core::Config;

/// A self-gated unit ([Misra, 2019](https://arxiv.org/abs/1908.08681)).
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "mish")]
pub struct Mish {}

impl Mish {
    /// tanh(softplus(x)), 1 - its square, and sigmoid(x). With e = e^x the first is n / d, where
    /// n = e (e + 2) and d = n + 2; for x > 0 both are divided by e^2, so that nothing overflows. With
    /// r = d - n the second is r (n + d) / d^2.
    #[inline(always)]
    fn gates<N: Number>(x: N) -> (N, N, N) {
        let (e, above) = ((-x.abs()).exp(), x.gt(0.0));
        let n = above.select(e * 2.0 + 1.0, e * (e + 2.0));
        let r = above.select(e * e * 2.0, 2.0);
        let inverse = (n + r).recip();
        let gate = n * inverse;
        (gate, r * inverse * (gate + 1.0), above.select(1.0, e) / (e + 1.0))
    }
}

impl Elementwise for Mish {
    const NAME: &'static str = "mish";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x * Self::gates(x).0
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, _: N) -> N {
        let (gate, rest, sigmoid) = Self::gates(x);
        gate + x * rest * sigmoid
    }
}
