//! `softplus(x) = ln(1 + e^x)`.

use super::Elementwise;
use crate::number::Number;
use sconce_core::Config;

/// A smooth max(x, 0).
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "softplus")]
pub struct Softplus {}

impl Elementwise for Softplus {
    const NAME: &'static str = "softplus";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.softplus()
    }

    #[inline(always)]
    fn slope<N: Number>(self, _: N, y: N) -> N {
        // sigmoid(x) = 1 - e^-y.
        -(-y).exp_m1()
    }
}
