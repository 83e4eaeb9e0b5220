//! `celu(x) = x` for x > 0, else `alpha * (e^(x / alpha) - 1)`.

use super::Elementwise;
use crate::number::{Mask, Number};
use sconce_core::Config;

/// Continuously differentiable exponential linear unit
/// ([Barron, 2017](https://arxiv.org/abs/1704.07483)).
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "celu")]
pub struct Celu {
    /// The results go down to -alpha; not 0. Default 1.
    #[config(default = 1.0)]
    pub alpha: f64,
}

impl Elementwise for Celu {
    const NAME: &'static str = "celu";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.gt(0.0).select(x, (x / self.alpha).exp_m1() * self.alpha)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, y: N) -> N {
        x.gt(0.0).select(1.0, y / self.alpha + 1.0)
    }
}
