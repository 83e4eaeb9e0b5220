//! `threshold(x) = x` for x > threshold, else `default_value`.

use super::Elementwise;
use super::composed::{flag, or_number};
use candle_core::{Result, Tensor};
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
    fn value(self, x: f32) -> f32 {
        if x <= self.threshold as f32 { self.default_value as f32 } else { x }
    }

    #[inline(always)]
    fn slope(self, x: f32, _: f32) -> f32 {
        if x > self.threshold as f32 { 1.0 } else { 0.0 }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        or_number(&x.gt(self.threshold)?, x, self.default_value)
    }

    fn compose_slope(self, x: &Tensor, _: &Tensor) -> Result<Tensor> {
        flag(&x.gt(self.threshold)?, x)
    }
}
