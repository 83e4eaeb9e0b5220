//! `hard_sigmoid(x) = min(max(x + 3, 0), 6) / 6`.

use super::{Elementwise, Range};
use crate::number::{Mask, Number};
use sconce_core::Config;

/// A sigmoid of three straight lines. The slope at -3 and 3 is 0.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "hard_sigmoid")]
pub struct HardSigmoid {}

impl Elementwise for HardSigmoid {
    const NAME: &'static str = "hard_sigmoid";
    const RANGE: Range = Range::Probability;

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        (x + 3.0).max(0.0).min(6.0) / 6.0
    }

    #[inline(always)]
    fn slope<N: Number>(self, _: N, y: N) -> N {
        y.gt(0.0).select(y.lt(1.0).select(1.0 / 6.0, 0.0), 0.0)
    }
}
