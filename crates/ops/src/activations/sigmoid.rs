//! `sigmoid(x) = 1 / (1 + e^-x)`.

use super::{Elementwise, Range};
use crate::number::Number;
use sconce_core::Config;

/// The logistic function.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "sigmoid")]
pub struct Sigmoid {}

impl Elementwise for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const RANGE: Range = Range::Probability;

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.sigmoid()
    }

    #[inline(always)]
    fn slope<N: Number>(self, _: N, y: N) -> N {
        y * (-y + 1.0)
    }
}
