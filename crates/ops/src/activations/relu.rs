//! `relu(x) = max(x, 0)`, and its general form.

use super::{Activation, Elementwise, LeakyRelu, Relu6};
use crate::number::{Mask, Number};
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
            (true, Some(6.0), true) => body(&Relu6 {}),
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
    fn value<N: Number>(self, x: N) -> N {
        x.max(0.0)
    }

    #[inline(always)]
    fn slope<N: Number>(self, _: N, y: N) -> N {
        y.gt(0.0).select(1.0, 0.0)
    }
}

/// With any of the three parameters.
#[derive(Clone, Copy)]
struct General(Relu);

impl General {
    /// The slope of max(x, 0). At 0 it is 1/2, as JAX has it; but Keras takes its relu6 for `max_value`
    /// 6 without threshold, whose slope is 0 at both ends.
    #[inline(always)]
    fn step<N: Number>(self, x: N) -> N {
        let relu6 = self.0.max_value == Some(6.0) && self.0.threshold == 0.0;
        let tie = x.eq(0.0).select(if relu6 { 0.0 } else { 0.5 }, 0.0);
        x.gt(0.0).select(1.0, tie)
    }
}

impl Elementwise for General {
    const NAME: &'static str = "relu";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        let Relu { negative_slope, max_value, threshold } = self.0;
        let (low, high) = match max_value {
            Some(high) => (0.0, high),
            None => (f64::NEG_INFINITY, f64::INFINITY),
        };
        let kept = x.le(threshold).select(0.0, x).max(low).min(high);
        if negative_slope == 0.0 {
            return kept;
        }
        kept + x.lt(threshold).select((x - threshold) * negative_slope, 0.0)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, _: N) -> N {
        let Relu { negative_slope, max_value, threshold } = self.0;
        let below = x.lt(threshold).select(negative_slope, 0.0);
        match max_value {
            Some(high) => x.gt(threshold).select(self.step(x) * self.step(-x + high), below),
            None => x.gt(threshold).select(1.0, below),
        }
    }
}
