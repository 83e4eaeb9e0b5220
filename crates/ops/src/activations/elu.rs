//! `elu(x) = x` for x > 0, else `alpha * (e^x - 1)`.

use super::Elementwise;
use super::composed::exp_m1;
use candle_core::{Result, Tensor};
use sconce_core::Config;
use sconce_kernels::math;

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
    fn value(self, x: f32) -> f32 {
        let low = self.alpha as f32 * math::exp_m1(x);
        if x > 0.0 { x } else { low }
    }

    #[inline(always)]
    fn slope(self, x: f32, y: f32) -> f32 {
        if x > 0.0 { 1.0 } else { y + self.alpha as f32 }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x.gt(0f64)?.where_cond(x, &(exp_m1(&x.minimum(0f64)?)? * self.alpha)?)
    }

    fn compose_slope(self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        x.gt(0f64)?.where_cond(&x.ones_like()?, &(y + self.alpha)?)
    }
}
