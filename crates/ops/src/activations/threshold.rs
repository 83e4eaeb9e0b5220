//! `threshold(x) = x` for x > threshold, else `default_value`.

use super::Elementwise;
use crate::number::{Mask, Number};
use sconce_core::Config;

/// Replaces everything up to a threshold. As in Keras neither parameter has a default, so the bare
/// name `"threshold"` is an error; give the struct, or `{"class_name": "threshold", "config": {..}}`.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "threshold")]
pub struct Threshold {
    /// Values up to here are replaced.
    pub threshold: f64,
    /// The replacement.
    pub default_value: f64,
}

impl Elementwise for Threshold {
    const NAME: &'static str = "threshold";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.le(self.threshold).select(self.default_value, x)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, _: N) -> N {
        x.gt(self.threshold).select(1.0, 0.0)
    }
}
