//! `sparse_sigmoid(x) = min(max((x + 1) / 2, 0), 1)`.

use super::composed::step;
use super::{Elementwise, Range};
use candle_core::{Result, Tensor};
use sconce_core::Config;

/// Sparsemax of two values ([Blondel et al., 2019](https://arxiv.org/abs/1901.02324)). The slope at
/// -1 and 1 is 1/4, half of that between, as JAX has it.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "sparse_sigmoid")]
pub struct SparseSigmoid {}

impl Elementwise for SparseSigmoid {
    const NAME: &'static str = "sparse_sigmoid";
    const RANGE: Range = Range::Probability;

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let y = if x < -1.0 { 0.0 } else { x + 1.0 };
        0.5 * if y > 2.0 { 2.0 } else { y }
    }

    #[inline(always)]
    fn slope(self, x: f32, _: f32) -> f32 {
        let a = x.abs();
        let outside = if a == 1.0 { 0.25 } else { 0.0 };
        if a < 1.0 { 0.5 } else { outside }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x.maximum(-1f64)?.minimum(1f64)?.affine(0.5, 0.5)
    }

    fn compose_slope(self, x: &Tensor, _: &Tensor) -> Result<Tensor> {
        (1.0 - step(&x.abs()?, 1.0)?)? * 0.5
    }
}
