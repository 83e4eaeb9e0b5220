//! `gelu(x) = x P(X <= x)`, X standard normal.

use super::{Activation, Elementwise};
use crate::number::Number;
use candle_core::{Result, Tensor};
use sconce_core::Config;

/// Gaussian error linear unit ([Hendrycks et al., 2016](https://arxiv.org/abs/1606.08415)).
///
/// ```text
/// f(x) = x (1 + erf(x / sqrt 2)) / 2
/// f(x) = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2     approximate
/// ```
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "gelu")]
pub struct Gelu {
    /// Whether the tanh formula is used. Default false.
    #[config(default = false)]
    pub approximate: bool,
}

impl Gelu {
    fn with<R>(self, body: impl FnOnce(&dyn Activation) -> R) -> R {
        if self.approximate { body(&Approximate) } else { body(&Exact) }
    }
}

impl Activation for Gelu {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        self.with(|f| f.call(x))
    }

    fn call_composed(&self, x: &Tensor) -> Result<Tensor> {
        self.with(|f| f.call_composed(x))
    }
}

#[derive(Clone, Copy)]
struct Exact;

impl Elementwise for Exact {
    const NAME: &'static str = "gelu";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x * x.normal().0
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, _: N) -> N {
        let (probability, density) = x.normal();
        probability + x * density
    }
}

/// With (1 + tanh(u)) / 2 written as sigmoid(2 u), which keeps its precision for negative x.
#[derive(Clone, Copy)]
struct Approximate;

/// 2 sqrt(2 / pi).
const RATE: f64 = 1.595_769_121_605_730_7;
const CUBIC: f64 = 0.044_715;
/// Beyond this the sigmoid is 0 or 1, even in f64; x^3 must not overflow.
const END: f64 = 50.0;

impl Approximate {
    /// 2 u and its slope.
    #[inline(always)]
    fn inner<N: Number>(x: N) -> (N, N) {
        let x = x.max(-END).min(END);
        let square = x * x;
        (x * (square * CUBIC + 1.0) * RATE, square * (3.0 * CUBIC * RATE) + RATE)
    }
}

impl Elementwise for Approximate {
    const NAME: &'static str = "gelu";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x * Self::inner(x).0.sigmoid()
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, _: N) -> N {
        let (u, rate) = Self::inner(x);
        let s = u.sigmoid();
        s + x * (s * (-u).sigmoid()) * rate
    }
}
