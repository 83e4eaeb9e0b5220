//! `ln(cosh(x - t))`, with slope `tanh(x - t)`.

use super::Pointwise;
use crate::number::Number;
use std::f64::consts::LN_2;

/// About half the square near the target, about the absolute difference less `ln(2)` beyond.
#[derive(Clone, Copy, Debug)]
pub struct LogCosh;

impl Pointwise for LogCosh {
    const NAME: &'static str = "log_cosh";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        let d = (x - t).abs();
        d + (d * -2.0).exp().ln_1p() - LN_2
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        (x - t).tanh()
    }
}
