//! `x - t ln(x + EPSILON)`.

use super::{EPSILON, Pointwise};
use crate::number::Number;

/// The negative logarithm of the probability of a count t at the rate x, without terms of t alone.
#[derive(Clone, Copy, Debug)]
pub struct Poisson;

impl Pointwise for Poisson {
    const NAME: &'static str = "poisson";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        x - t * (x + EPSILON).ln()
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        -(t / (x + EPSILON)) + 1.0
    }
}
