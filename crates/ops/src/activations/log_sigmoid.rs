//! `log_sigmoid(x) = ln(sigmoid(x)) = -softplus(-x)`.

use super::{Elementwise, composed};
use candle_core::{Result, Tensor};
use sconce_core::Config;
use sconce_kernels::math;

/// The logarithm of the logistic function.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "log_sigmoid")]
pub struct LogSigmoid {}

impl Elementwise for LogSigmoid {
    const NAME: &'static str = "log_sigmoid";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        -math::softplus(-x)
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        // sigmoid(-x) = 1 - e^y.
        -math::exp_m1(y)
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        composed::softplus(&x.neg()?)?.neg()
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        composed::exp_m1(y)?.neg()
    }
}
