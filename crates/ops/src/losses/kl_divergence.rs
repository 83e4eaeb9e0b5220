//! `t ln(t / p)` for probabilities t and p kept in `EPSILON..1`; beyond that the slope is 0.

use super::{EPSILON, Pointwise};
use crate::number::{Mask, Number};

/// One term of the Kullback-Leibler divergence.
#[derive(Clone, Copy, Debug)]
pub struct KlDivergence;

impl Pointwise for KlDivergence {
    const NAME: &'static str = "kl_divergence";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        let (p, t) = (x.max(EPSILON).min(1.0), t.max(EPSILON).min(1.0));
        t * (t / p).ln()
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        let slope = -(t.max(EPSILON).min(1.0) / x);
        x.lt(EPSILON).select(0.0, x.gt(1.0).select(0.0, slope))
    }
}
