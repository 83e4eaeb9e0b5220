//! `squareplus(x) = (x + sqrt(x^2 + b)) / 2`.

use super::Elementwise;
use crate::number::{Mask, Number};
use sconce_core::Config;

/// A smooth max(x, 0) without exponentials
/// ([Barron, 2021](https://arxiv.org/abs/2112.11687)).
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "squareplus")]
pub struct Squareplus {
    /// Smoothness; with 0 it is max(x, 0). Default 4.
    #[config(default = 4.0)]
    pub b: f64,
}

impl Elementwise for Squareplus {
    const NAME: &'static str = "squareplus";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        // For x < 0 the sum would cancel; it is b / (sqrt(x^2 + b) - x).
        let sum = (x * x + self.b).sqrt() + x.abs();
        let above = x.ge(0.0);
        above.select(sum, self.b) / above.select(2.0, sum * 2.0)
    }

    #[inline(always)]
    fn slope<N: Number>(self, _: N, y: N) -> N {
        // y / sqrt(x^2 + b) = y^2 / (y^2 + b / 4), since x = y - b / (4 y).
        ((y * y).recip() * (0.25 * self.b) + 1.0).recip()
    }
}
