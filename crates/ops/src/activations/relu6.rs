//! `relu6(x) = min(max(x, 0), 6)`.

use super::Elementwise;
use crate::number::{Mask, Number};
use sconce_core::Config;

/// Rectified linear unit up to 6. The slope is 0 at both ends.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "relu6")]
pub struct Relu6 {}

impl Elementwise for Relu6 {
    const NAME: &'static str = "relu6";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.max(0.0).min(6.0)
    }

    #[inline(always)]
    fn slope<N: Number>(self, _: N, y: N) -> N {
        y.gt(0.0).select(y.lt(6.0).select(1.0, 0.0), 0.0)
    }
}
