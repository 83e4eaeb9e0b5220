//! `leaky_relu(x) = x` for x >= 0, else `negative_slope * x`.

use super::Elementwise;
use crate::number::{Mask, Number};
use sconce_core::Config;

/// Rectified linear unit that lets a little through. The slope at 0 is 1.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "leaky_relu")]
pub struct LeakyRelu {
    /// Slope below 0. Default 0.2.
    #[config(default = 0.2)]
    pub negative_slope: f64,
}

impl Elementwise for LeakyRelu {
    const NAME: &'static str = "leaky_relu";

    fn result_suffices(self) -> bool {
        // Else the result does not tell on which side of 0 the input was.
        self.negative_slope > 0.0
    }

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.ge(0.0).select(x, x * self.negative_slope)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, _: N) -> N {
        // Where it runs on the result, `x` is the result, which has the same sign.
        x.ge(0.0).select(1.0, self.negative_slope)
    }
}
