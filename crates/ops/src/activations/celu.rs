//! `celu(x) = x` for x > 0, else `alpha * (e^(x / alpha) - 1)`.

use super::Elementwise;
use super::composed::exp_m1;
use candle_core::{Result, Tensor};
use sconce_core::Config;
use sconce_kernels::math;

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
    fn value(self, x: f32) -> f32 {
        let alpha = self.alpha as f32;
        let low = alpha * math::exp_m1(x / alpha);
        if x > 0.0 { x } else { low }
    }

    #[inline(always)]
    fn slope(self, x: f32, y: f32) -> f32 {
        if x > 0.0 { 1.0 } else { y / self.alpha as f32 + 1.0 }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        let low = (exp_m1(&(x.minimum(0f64)? / self.alpha)?)? * self.alpha)?;
        x.gt(0f64)?.where_cond(x, &low)
    }

    fn compose_slope(self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        x.gt(0f64)?.where_cond(&x.ones_like()?, &y.affine(1.0 / self.alpha, 1.0)?)
    }
}
