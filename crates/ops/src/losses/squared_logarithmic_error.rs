//! `(ln(1 + x) - ln(1 + t))^2`, where x and t are kept above EPSILON; below it the slope is 0.

use super::{EPSILON, Pointwise};
use crate::number::{Mask, Number};

/// The squared difference of logarithms.
#[derive(Clone, Copy, Debug)]
pub struct SquaredLogarithmicError;

#[inline(always)]
fn difference<N: Number>(x: N, t: N) -> N {
    (x.max(EPSILON) + 1.0).ln() - (t.max(EPSILON) + 1.0).ln()
}

impl Pointwise for SquaredLogarithmicError {
    const NAME: &'static str = "mean_squared_logarithmic_error";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        let d = difference(x, t);
        d * d
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        let slope = difference(x, t) * 2.0 / (x.max(EPSILON) + 1.0);
        x.lt(EPSILON).select(0.0, slope)
    }
}
