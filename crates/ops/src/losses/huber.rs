//! Huber's loss: with `e = x - t`, `e^2 / 2` where `|e| <= delta`, else `delta |e| - delta^2 / 2`.

use super::Pointwise;
use candle_core::{Result, Tensor};

/// Quadratic near the target, linear beyond `delta`.
#[derive(Clone, Copy, Debug)]
pub struct Huber {
    /// Where the parabola ends.
    pub delta: f64,
}

impl Pointwise for Huber {
    const NAME: &'static str = "huber";

    #[inline(always)]
    fn value(self, x: f32, t: f32) -> f32 {
        let (e, delta) = ((x - t).abs(), self.delta as f32);
        if e <= delta { 0.5 * e * e } else { delta * e - 0.5 * delta * delta }
    }

    #[inline(always)]
    fn slope(self, x: f32, t: f32) -> f32 {
        let delta = self.delta as f32;
        (x - t).clamp(-delta, delta)
    }

    fn compose(self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let e = (x - t)?.abs()?;
        let line = e.affine(self.delta, -0.5 * self.delta * self.delta)?;
        e.le(self.delta)?.where_cond(&(e.sqr()? * 0.5)?, &line)
    }

    fn compose_slope(self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        (x - t)?.clamp(-self.delta, self.delta)
    }
}
