//! `soft_shrink(x) = sign(x) * max(|x| - threshold, 0)`.

use super::Elementwise;
use crate::number::{Mask, Number};
use sconce_core::Config;

/// Moves everything towards 0 by a threshold. The slope is 0 up to the threshold and there.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "soft_shrink")]
pub struct SoftShrink {
    /// How far; not negative. Default 0.5.
    #[config(default = 0.5)]
    pub threshold: f64,
}

impl Elementwise for SoftShrink {
    const NAME: &'static str = "soft_shrink";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x - x.max(-self.threshold).min(self.threshold)
    }

    #[inline(always)]
    fn slope<N: Number>(self, _: N, y: N) -> N {
        y.eq(0.0).select(0.0, 1.0)
    }
}
