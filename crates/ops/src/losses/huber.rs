//! Huber's loss: with `e = x - t`, `e^2 / 2` where `|e| <= delta`, else `delta |e| - delta^2 / 2`.

use super::Pointwise;
use crate::number::{Mask, Number};

/// Quadratic near the target, linear beyond `delta`.
#[derive(Clone, Copy, Debug)]
pub struct Huber {
    /// Where the parabola ends.
    pub delta: f64,
}

impl Pointwise for Huber {
    const NAME: &'static str = "huber";

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        let e = (x - t).abs();
        let line = e * self.delta - 0.5 * self.delta * self.delta;
        e.le(self.delta).select(e * e * 0.5, line)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        (x - t).max(-self.delta).min(self.delta)
    }
}
