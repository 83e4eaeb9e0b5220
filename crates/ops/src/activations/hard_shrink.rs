//! `hard_shrink(x) = x` for |x| > threshold, else 0.

use super::Elementwise;
use crate::number::{Mask, Number};
use sconce_core::Config;

/// Drops everything up to a threshold. The slope is 0 up to the threshold and there.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "hard_shrink")]
pub struct HardShrink {
    /// Up to which size values are dropped; not negative. Default 0.5.
    #[config(default = 0.5)]
    pub threshold: f64,
}

impl Elementwise for HardShrink {
    const NAME: &'static str = "hard_shrink";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.abs().le(self.threshold).select(0.0, x)
    }

    #[inline(always)]
    fn slope<N: Number>(self, _: N, y: N) -> N {
        y.eq(0.0).select(0.0, 1.0)
    }
}
