//! `sparse_plus(x) = 0` for x <= -1, `(x + 1)^2 / 4` between, `x` for x >= 1.

use super::Elementwise;
use super::composed::or_number;
use candle_core::{Result, Tensor};
use sconce_core::Config;

/// A max(x, 0) with a parabola for a corner.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "sparse_plus")]
pub struct SparsePlus {}

impl Elementwise for SparsePlus {
    const NAME: &'static str = "sparse_plus";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let between = 0.25 * (x + 1.0) * (x + 1.0);
        let y = if x <= -1.0 { 0.0 } else { between };
        if x >= 1.0 { x } else { y }
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        // (x + 1) / 2 between, which is the root of y.
        if y < 1.0 { y.sqrt() } else { 1.0 }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        let between = (x.maximum(-1f64)?.minimum(1f64)? + 1.0)?.sqr()?.affine(0.25, 0.0)?;
        x.ge(1f64)?.where_cond(x, &between)
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        or_number(&y.lt(1f64)?, &y.sqrt()?, 1.0)
    }
}
