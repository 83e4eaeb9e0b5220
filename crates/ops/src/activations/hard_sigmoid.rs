//! `hard_sigmoid(x) = min(max(x + 3, 0), 6) / 6`.

use super::composed::flag;
use super::{Elementwise, Range};
use candle_core::{Result, Tensor};
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
    fn value(self, x: f32) -> f32 {
        let y = if x < -3.0 { 0.0 } else { x + 3.0 };
        let y = if y > 6.0 { 6.0 } else { y };
        y / 6.0
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        if y > 0.0 && y < 1.0 { 1.0 / 6.0 } else { 0.0 }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        // Not `affine(1 / 6, 1 / 2)`, which may miss 0 and 1 at the ends.
        (x + 3.0)?.maximum(0f64)?.minimum(6f64)? / 6.0
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        (flag(&y.gt(0f64)?, y)? * flag(&y.lt(1f64)?, y)?)? * (1.0 / 6.0)
    }
}
