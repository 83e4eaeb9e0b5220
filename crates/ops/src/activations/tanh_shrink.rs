//! `tanh_shrink(x) = x - tanh(x)`.

use super::Elementwise;
use crate::number::Number;
use sconce_core::Config;

/// What tanh takes away.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "tanh_shrink")]
pub struct TanhShrink {}

impl Elementwise for TanhShrink {
    const NAME: &'static str = "tanh_shrink";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.tanh_shrink()
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, _: N) -> N {
        x.tanh() * x.tanh()
    }
}
