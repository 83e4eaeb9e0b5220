//! ELU: `y = x` for x > 0, else `alpha (e^x - 1)`.
//!
//! Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear
//! units", 2015.

use crate::{Call, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor};
use sconce_ops::Activation;
use sconce_ops::activations::Elu;

/// Exponential linear unit. x and y: any shape.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct ELU {
    /// What large negative values tend to, with the sign changed.
    #[config(default = 1.0)]
    pub alpha: f64,
}

impl Layer for ELU {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("ELU")?.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let activation = Elu { alpha: self.alpha };
        Ok(vec![activation.call(call.single()?)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }
}
