//! ReLU: `y = max(x, 0)`, and its general form.

use crate::{Call, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor};
use sconce_ops::Activation;
use sconce_ops::activations::Relu;
use std::sync::Arc;

/// Rectified linear unit: `y = max_value` for x >= max_value, `x` for threshold <= x < max_value, else
/// `negative_slope (x - threshold)`. x and y: any shape.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct ReLU {
    /// Largest result; none by default.
    #[config(range = "[0, inf)")]
    pub max_value: Option<f64>,
    /// Slope below the threshold.
    #[config(default = 0.0, range = "[0, inf)")]
    pub negative_slope: f64,
    /// Values below are damped.
    #[config(default = 0.0, range = "[0, inf)")]
    pub threshold: f64,
}

impl ReLU {
    fn function(&self) -> Relu {
        Relu {
            negative_slope: self.negative_slope,
            max_value: self.max_value,
            threshold: self.threshold,
        }
    }
}

impl Layer for ReLU {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("ReLU")?.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![self.function().call(call.single()?)?])
    }

    fn elementwise(&self) -> Option<Arc<dyn Activation>> {
        Some(Arc::new(self.function()))
    }

    fn supports_masking(&self) -> bool {
        true
    }
}
