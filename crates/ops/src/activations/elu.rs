//! `elu(x) = x` for x > 0, else `alpha * (e^x - 1)`.

use super::Elementwise;
use crate::number::{Mask, Number};
use sconce_core::Config;

/// Exponential linear unit ([Clevert et al., 2016](https://arxiv.org/abs/1511.07289)). The slope at
/// 0 is `alpha`.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "elu")]
pub struct Elu {
    /// The results go down to -alpha. Default 1.
    #[config(default = 1.0)]
    pub alpha: f64,
}

impl Elementwise for Elu {
    const NAME: &'static str = "elu";

    fn result_suffices(self) -> bool {
        // Else results are positive on both sides of 0.
        self.alpha >= 0.0
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.gt(0.0).select(x, x.exp_m1() * self.alpha)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, y: N) -> N {
        x.gt(0.0).select(1.0, y + self.alpha)
    }
}
