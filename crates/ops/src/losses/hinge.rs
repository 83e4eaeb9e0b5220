//! `max(1 - t x, 0)` for targets t of -1 or 1, and its square.

use super::Pointwise;
use crate::number::{Mask, Number};

/// The hinge, with half its slope at its kink, as Keras on JAX.
#[derive(Clone, Copy, Debug)]
pub struct Hinge;

impl Pointwise for Hinge {
    const NAME: &'static str = "hinge";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        (-(t * x) + 1.0).max(0.0)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        let margin = -(t * x) + 1.0;
        -t * (margin.gt(0.0).select(0.5, 0.0) + margin.ge(0.0).select(0.5, 0.0))
    }
}

/// The square of the hinge.
#[derive(Clone, Copy, Debug)]
pub struct SquaredHinge;

impl Pointwise for SquaredHinge {
    const NAME: &'static str = "squared_hinge";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        let hinge = Hinge.value(x, t);
        hinge * hinge
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        -t * Hinge.value(x, t) * 2.0
    }
}
