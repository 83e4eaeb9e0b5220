//! `sparse_plus(x) = 0` for x <= -1, `(x + 1)^2 / 4` between, `x` for x >= 1.

use super::Elementwise;
use crate::number::{Mask, Number};
use sconce_core::Config;

/// A max(x, 0) with a parabola for a corner.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "sparse_plus")]
pub struct SparsePlus {}

impl Elementwise for SparsePlus {
    const NAME: &'static str = "sparse_plus";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        let between = (x + 1.0) * (x + 1.0) * 0.25;
        x.ge(1.0).select(x, x.le(-1.0).select(0.0, between))
    }

    #[inline(always)]
    fn slope<N: Number>(self, _: N, y: N) -> N {
        // (x + 1) / 2 between, which is the root of y.
        y.lt(1.0).select(y.sqrt(), 1.0)
    }
}
