//! `selu(x) = scale * elu(x, alpha)`, with fixed `scale` and `alpha`.

use super::Elementwise;
use super::composed::exp_m1;
use candle_core::{Result, Tensor};
use sconce_core::Config;
use sconce_kernels::math;

/// Scaled exponential linear unit ([Klambauer et al., 2017](https://arxiv.org/abs/1706.02515)): its
/// constants keep mean 0 and variance 1 with the `lecun_normal` initializer. The slope at 0 is
/// scale * alpha.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "selu")]
pub struct Selu {}

const SCALE: f64 = 1.050_700_987_355_480_5;
const SCALE_ALPHA: f64 = SCALE * 1.673_263_242_354_377_2;

impl Elementwise for Selu {
    const NAME: &'static str = "selu";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let low = SCALE_ALPHA as f32 * math::exp_m1(x);
        if x > 0.0 { SCALE as f32 * x } else { low }
    }

    #[inline(always)]
    fn slope(self, x: f32, y: f32) -> f32 {
        if x > 0.0 { SCALE as f32 } else { y + SCALE_ALPHA as f32 }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x.gt(0f64)?.where_cond(&(x * SCALE)?, &(exp_m1(&x.minimum(0f64)?)? * SCALE_ALPHA)?)
    }

    fn compose_slope(self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        x.gt(0f64)?.where_cond(&x.ones_like()?.affine(SCALE, 0.0)?, &(y + SCALE_ALPHA)?)
    }
}
