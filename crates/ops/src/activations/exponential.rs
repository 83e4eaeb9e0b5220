//! `exponential(x) = e^x`.

use super::Elementwise;
use crate::number::Number;
use sconce_core::Config;

/// The exponential function. Infinite above 88.7 in f32.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "exponential")]
pub struct Exponential {}

impl Elementwise for Exponential {
    const NAME: &'static str = "exponential";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.exp()
    }

    #[inline(always)]
    fn slope<N: Number>(self, _: N, y: N) -> N {
        y
    }
}
