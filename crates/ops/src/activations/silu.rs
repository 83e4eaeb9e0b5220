//! `silu(x) = x * sigmoid(x)`.

use super::Elementwise;
use crate::number::Number;
use sconce_core::Config;

/// Sigmoid linear unit, also called swish
/// ([Ramachandran et al., 2017](https://arxiv.org/abs/1710.05941)).
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "silu")]
pub struct Silu {}

impl Elementwise for Silu {
    const NAME: &'static str = "silu";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x * x.sigmoid()
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, _: N) -> N {
        // s + x s (1 - s), where 1 - s is sigmoid(-x).
        x.sigmoid() * (x * (-x).sigmoid() + 1.0)
    }
}
