//! `selu(x) = scale * elu(x, alpha)`, with fixed `scale` and `alpha`.

use super::Elementwise;
use crate::number::{Mask, Number};
use sconce_core::Config;

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
    fn value<N: Number>(self, x: N) -> N {
        x.gt(0.0).select(x * SCALE, x.exp_m1() * SCALE_ALPHA)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, y: N) -> N {
        x.gt(0.0).select(SCALE, y + SCALE_ALPHA)
    }
}
