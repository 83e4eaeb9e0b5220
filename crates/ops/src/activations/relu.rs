//! `relu(x) = max(x, 0)`, and its general form.

use super::composed::{flag, step};
use super::{Activation, Elementwise, LeakyRelu};
use candle_core::{Result, Tensor};
use sconce_core::Config;

/// Rectified linear unit. With the defaults max(x, 0); in general, elementwise,
///
/// ```text
/// f(x) = max_value                            x >= max_value
///        x                                    threshold < x < max_value
///        negative_slope * (x - threshold)     x <= threshold
/// ```
///
/// where with a `max_value` the second line is also not below 0. The slope at 0 is 0, as in Keras
/// (candle's is 1).
#[derive(Clone, Copy, Debug, PartialEq, Config)]
#[config(name = "relu")]
pub struct Relu {
    /// Slope below the threshold. Default 0.
    #[config(default = 0.0)]
    pub negative_slope: f64,
    /// Largest result. Default none.
    pub max_value: Option<f64>,
    /// Values up to here are damped. Default 0.
    #[config(default = 0.0)]
    pub threshold: f64,
}

impl Relu {
    /// Runs `body` with the simplest function that does what the parameters say.
    fn with<R>(self, body: impl FnOnce(&dyn Activation) -> R) -> R {
        let Self { negative_slope, max_value, threshold } = self;
        match (negative_slope == 0.0, max_value, threshold == 0.0) {
            (true, None, true) => body(&Plain),
            (false, None, true) => body(&LeakyRelu { negative_slope }),
            _ => body(&General(self)),
        }
    }
}

impl Activation for Relu {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        self.with(|f| f.call(x))
    }

    fn call_composed(&self, x: &Tensor) -> Result<Tensor> {
        self.with(|f| f.call_composed(x))
    }

    fn fuses(&self) -> bool {
        self.with(|f| f.fuses())
    }

    fn map_in_place(&self, values: &mut [f32]) {
        self.with(|f| f.map_in_place(values));
    }

    fn chain_in_place(&self, y: &[f32], gradient: &mut [f32]) {
        self.with(|f| f.chain_in_place(y, gradient));
    }
}

/// max(x, 0).
#[derive(Clone, Copy)]
struct Plain;

impl Elementwise for Plain {
    const NAME: &'static str = "relu";

    fn result_suffices(self) -> bool {
        true
    }

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        // Not `max`, which would hide a NaN.
        if x < 0.0 { 0.0 } else { x }
    }

    #[inline(always)]
    fn slope(self, _: f32, y: f32) -> f32 {
        if y > 0.0 { 1.0 } else { 0.0 }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        x.relu()
    }

    fn compose_slope(self, _: &Tensor, y: &Tensor) -> Result<Tensor> {
        flag(&y.gt(0f64)?, y)
    }
}

/// With any of the three parameters.
#[derive(Clone, Copy)]
struct General(Relu);

impl General {
    /// Keras's relu6, which it takes for `max_value` 6 without threshold, has slope 0 at both ends;
    /// a clip has 1/2 there.
    fn is_relu6(self) -> bool {
        self.0.max_value == Some(6.0) && self.0.threshold == 0.0
    }
}

impl Elementwise for General {
    const NAME: &'static str = "relu";

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let (slope, threshold) = (self.0.negative_slope as f32, self.0.threshold as f32);
        let (low, high) = match self.0.max_value {
            Some(high) => (0.0, high as f32),
            None => (f32::NEG_INFINITY, f32::INFINITY),
        };
        let kept = if x <= threshold { 0.0 } else { x };
        let kept = if kept < low { low } else { kept };
        let kept = if kept > high { high } else { kept };
        let below = if x < threshold && slope != 0.0 { slope * (x - threshold) } else { 0.0 };
        kept + below
    }

    #[inline(always)]
    fn slope(self, x: f32, _: f32) -> f32 {
        let (slope, threshold) = (self.0.negative_slope as f32, self.0.threshold as f32);
        let tie = if self.is_relu6() { 0.0 } else { 0.5 };
        let step = |above: f32| {
            let equal = if above == 0.0 { tie } else { 0.0 };
            if above > 0.0 { 1.0 } else { equal }
        };
        let inside = match self.0.max_value {
            Some(high) => step(x) * step(high as f32 - x),
            None => 1.0,
        };
        let kept = if x <= threshold { 0.0 } else { inside };
        if x < threshold { slope } else { kept }
    }

    fn compose(self, x: &Tensor) -> Result<Tensor> {
        let Relu { negative_slope, max_value, threshold } = self.0;
        let kept = x.le(threshold)?.where_cond(&x.zeros_like()?, x)?;
        let kept = match max_value {
            Some(high) => kept.maximum(0f64)?.minimum(high)?,
            None => kept,
        };
        if negative_slope == 0.0 {
            return Ok(kept);
        }
        kept + ((x.minimum(threshold)? - threshold)? * negative_slope)?
    }

    fn compose_slope(self, x: &Tensor, _: &Tensor) -> Result<Tensor> {
        let Relu { negative_slope, max_value, threshold } = self.0;
        let kept = flag(&x.gt(threshold)?, x)?;
        let kept = match max_value {
            Some(high) if self.is_relu6() => kept * flag(&x.lt(high)?, x)?,
            Some(high) => (kept * step(x, 0.0)?)? * (1.0 - step(x, high)?)?,
            None => Ok(kept),
        }?;
        if negative_slope == 0.0 {
            return Ok(kept);
        }
        kept + (flag(&x.lt(threshold)?, x)? * negative_slope)?
    }
}
