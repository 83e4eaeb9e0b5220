//! `squareplus(x) = (x + sqrt(x^2 + b)) / 2`.

use super::Elementwise;
use candle_core::{Result, Tensor};
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
    fn value(self, x: f32) -> f32 {
        // For x < 0 the sum would cancel; it is b / (sqrt(x^2 + b) - x).
        let b = self.b as f32;
        let sum = (x * x + b).sqrt() + x.abs();
        if x >= 0.0 { 0.5 * sum } else { 0.5 * b / sum }
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        // y / sqrt(x^2 + b) = y^2 / (y^2 + b / 4), since x = y - b / (4 y).
        1.0 / (1.0 + 0.25 * self.b as f32 / (y * y))
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        let sum = ((x.sqr()? + self.b)?.sqrt()? + x.abs()?)?;
        let low = (sum.recip()? * (0.5 * self.b))?;
        x.ge(0f64)?.where_cond(&(sum * 0.5)?, &low)
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        (y.sqr()?.recip()? * (0.25 * self.b))?.affine(1.0, 1.0)?.recip()
    }
}
