//! `(x - t)^2`.

use super::Pointwise;
use crate::number::Number;

/// The squared difference.
#[derive(Clone, Copy, Debug)]
pub struct SquaredError;

impl Pointwise for SquaredError {
    const NAME: &'static str = "mean_squared_error";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        (x - t) * (x - t)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        (x - t) * 2.0
    }
}
