//! `hard_silu(x) = x * hard_sigmoid(x)`.

use super::composed::flag;
use super::{Elementwise, HardSigmoid};
use candle_core::{Result, Tensor};
use sconce_core::Config;

/// A silu of a parabola and two straight lines, also called hard swish
/// ([Howard et al., 2019](https://arxiv.org/abs/1905.02244)). The slope at -3 is 0, at 3 it is 1.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "hard_silu")]
pub struct HardSilu {}

impl Elementwise for HardSilu {
    const NAME: &'static str = "hard_silu";

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x * HardSigmoid {}.value(x)
    }

    #[inline(always)]
    fn slope(self, x: f32, _: f32) -> f32 {
        let gate = HardSigmoid {}.value(x);
        let bent = gate + x * (1.0 / 6.0);
        if x.abs() < 3.0 { bent } else { gate }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x * HardSigmoid {}.compose(x)?
    }

    fn compose_slope(self, x: &Tensor, _: &Tensor) -> Result<Tensor> {
        let inside = flag(&x.abs()?.lt(3f64)?, x)?;
        HardSigmoid {}.compose(x)? + ((x * inside)? * (1.0 / 6.0))?
    }
}
