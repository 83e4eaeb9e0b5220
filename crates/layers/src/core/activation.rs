//! Activation: `y = f(x)`.

use crate::{Call, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor};
use sconce_ops::ActivationFn;
use sconce_ops::activations::Range;

/// Applies an activation function. x and y: any shape.
#[derive(Clone, Debug, Config)]
#[config(named, no_new)]
pub struct Activation {
    /// The function.
    pub activation: ActivationFn,
}

impl Activation {
    /// Of a function by name: `Activation::new("relu")`.
    pub fn new(activation: impl Into<ActivationFn>) -> Self {
        Self { activation: activation.into() }
    }
}

impl Layer for Activation {
    fn check(&self) -> Result<()> {
        self.activation.get().map(|_| ()).map_err(|e| e.under("activation"))
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("Activation")?;
        let dims =
            self.activation.get().map_err(|e| e.under("activation"))?.output_dims(&x.dims)?;
        Ok(vec![x.with_dims(dims)])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![self.activation.get()?.call(call.single()?)?])
    }

    fn elementwise(&self) -> Option<std::sync::Arc<dyn sconce_ops::Activation>> {
        self.activation.get().ok().filter(|activation| activation.fuses()).cloned()
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        match (self.activation.name(), self.activation.get()) {
            ("linear", _) => None,
            (_, Ok(activation)) => Some(activation.range() == Range::Probability),
            _ => Some(false),
        }
    }
}
