//! `100 |x - t| / max(|t|, EPSILON)`, with slope 0 where x = t.

use super::{AbsoluteError, EPSILON, Pointwise};
use crate::number::Number;

/// The absolute difference in percent of the target.
#[derive(Clone, Copy, Debug)]
pub struct AbsolutePercentageError;

impl Pointwise for AbsolutePercentageError {
    const NAME: &'static str = "mean_absolute_percentage_error";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        AbsoluteError.value(x, t) / t.abs().max(EPSILON) * 100.0
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        AbsoluteError.slope(x, t) / t.abs().max(EPSILON) * 100.0
    }
}
