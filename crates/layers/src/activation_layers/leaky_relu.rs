//! LeakyReLU: `y = x` for x >= 0, else `negative_slope x`.

use crate::{Call, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor};
use sconce_ops::Activation;
use sconce_ops::activations::LeakyRelu;

/// Rectified linear unit that lets a little through. x and y: any shape.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct LeakyReLU {
    /// Slope below 0.
    #[config(default = 0.3, range = "[0, inf)")]
    pub negative_slope: f64,
}

impl Layer for LeakyReLU {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("LeakyReLU")?.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let activation = LeakyRelu { negative_slope: self.negative_slope };
        Ok(vec![activation.call(call.single()?)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }
}
