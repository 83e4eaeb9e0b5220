//! `|x - t|`, with slope 0 at 0.

use super::Pointwise;
use crate::number::{Mask, Number};

/// The absolute difference.
#[derive(Clone, Copy, Debug)]
pub struct AbsoluteError;

impl Pointwise for AbsoluteError {
    const NAME: &'static str = "mean_absolute_error";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        (x - t).abs()
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        x.gt(t).select(1.0, 0.0) - x.lt(t).select(1.0, 0.0)
    }
}
