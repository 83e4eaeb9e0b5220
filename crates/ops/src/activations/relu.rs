//! `relu(x) = max(x, 0)`.

use super::Elementwise;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// Rectified linear unit. The slope at 0 is 0, as in Keras (candle's is 1).
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relu {}

impl Elementwise for Relu {
    const NAME: &'static str = "relu";
    const FROM_RESULT: bool = true;

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        // Not `max`, which would hide a NaN.
        if x < 0.0 { 0.0 } else { x }
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        if y > 0.0 { 1.0 } else { 0.0 }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x.relu()
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        y.gt(0f64)?.to_dtype(y.dtype())
    }
}
