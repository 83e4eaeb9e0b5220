//! `hard_tanh(x) = min(max(x, -1), 1)`.

use super::Elementwise;
use crate::number::{Mask, Number};
use sconce_core::Config;

/// A tanh of three straight lines. The slope at -1 and 1 is 1.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "hard_tanh")]
pub struct HardTanh {}

impl Elementwise for HardTanh {
    const NAME: &'static str = "hard_tanh";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.max(-1.0).min(1.0)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, _: N) -> N {
        x.abs().le(1.0).select(1.0, 0.0)
    }
}
