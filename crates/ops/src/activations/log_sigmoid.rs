//! `log_sigmoid(x) = ln(sigmoid(x)) = -softplus(-x)`.

use super::Elementwise;
use crate::number::Number;
use sconce_core::Config;

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
    fn value<N: Number>(self, x: N) -> N {
        -(-x).softplus()
    }

    #[inline(always)]
    fn slope<N: Number>(self, _: N, y: N) -> N {
        // sigmoid(-x) = 1 - e^y.
        -y.exp_m1()
    }
}
