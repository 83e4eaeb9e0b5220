//! `softsign(x) = x / (1 + |x|)`.

use super::Elementwise;
use crate::number::Number;
use sconce_core::Config;

/// A sigmoid-like curve from -1 to 1 with polynomial tails.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "softsign")]
pub struct Softsign {}

impl Elementwise for Softsign {
    const NAME: &'static str = "softsign";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x / (x.abs() + 1.0)
    }

    #[inline(always)]
    fn slope<N: Number>(self, _: N, y: N) -> N {
        // 1 / (1 + |x|) = 1 - |y|.
        let t = -y.abs() + 1.0;
        t * t
    }
}
