//! `sparse_sigmoid(x) = min(max((x + 1) / 2, 0), 1)`.

use super::{Elementwise, Range};
use crate::number::{Mask, Number};
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
    fn value<N: Number>(self, x: N) -> N {
        (x.max(-1.0).min(1.0) + 1.0) * 0.5
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, _: N) -> N {
        let outside = x.abs().eq(1.0).select(0.25, 0.0);
        x.abs().lt(1.0).select(0.5, outside)
    }
}
