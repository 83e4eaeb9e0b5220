//! `hard_silu(x) = x * hard_sigmoid(x)`.

use super::{Elementwise, HardSigmoid};
use crate::number::{Mask, Number};
use sconce_core::Config;

/// A silu of a parabola and two straight lines, also called hard swish
/// ([Howard et al., 2019](https://arxiv.org/abs/1905.02244)). The slope at -3 is 0, at 3 it is 1.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "hard_silu")]
pub struct HardSilu {}

impl Elementwise for HardSilu {
    const NAME: &'static str = "hard_silu";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x * HardSigmoid {}.value(x)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, _: N) -> N {
        let gate = HardSigmoid {}.value(x);
        x.abs().lt(3.0).select(gate + x / 6.0, gate)
    }
}
