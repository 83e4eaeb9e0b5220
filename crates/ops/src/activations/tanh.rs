//! `tanh(x) = (e^x - e^-x) / (e^x + e^-x)`.

use super::Elementwise;
use crate::number::Number;
use sconce_core::Config;

/// The hyperbolic tangent.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "tanh")]
pub struct Tanh {}

impl Elementwise for Tanh {
    const NAME: &'static str = "tanh";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.tanh()
    }

    #[inline(always)]
    fn slope<N: Number>(self, _: N, y: N) -> N {
        // More exact near 1 than 1 - y^2.
        (-y + 1.0) * (y + 1.0)
    }
}
