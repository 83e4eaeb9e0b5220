//! `leaky_relu(x) = x` for x >= 0, else `negative_slope * x`.

use super::Elementwise;
use super::composed::or_number;
use candle_core::{Result, Tensor};
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
    fn value(self, x: f32) -> f32 {
        if x >= 0.0 { x } else { self.negative_slope as f32 * x }
    }

    #[inline(always)]
    fn slope(self, x: f32, _: f32) -> f32 {
        // Where it runs on the result, `x` is the result, which has the same sign.
        if x >= 0.0 { 1.0 } else { self.negative_slope as f32 }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x.ge(0f64)?.where_cond(x, &(x * self.negative_slope)?)
    }

    fn compose_slope(self, x: &Tensor, _: &Tensor) -> Result<Tensor> {
        or_number(&x.ge(0f64)?, &x.ones_like()?, self.negative_slope)
    }
}
