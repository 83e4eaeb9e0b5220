//! Activation: `y = f(x)`.

use crate::layer::single;
use crate::{Base, Layer};
use sconce_core::{Context, Dims, Result, Tensor, Weights};
use sconce_ops::ActivationFn;
use sconce_ops::activations::Range;
use serde::{Deserialize, Serialize};

/// Applies an activation function. x and y: any shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// The function.
    pub activation: ActivationFn,
    /// Name, trainable flag, input shape.
    #[serde(skip)]
    pub base: Base,
}

impl Activation {
    /// Of a function by name: `Activation::new("relu")`.
    pub fn new(activation: impl Into<ActivationFn>) -> Self {
        Self { activation: activation.into(), base: Base::default() }
    }
}

impl Layer for Activation {
    fn check(&self) -> Result<()> {
        self.activation.get().map(|_| ()).map_err(|e| e.under("activation"))
    }

    fn output_dims(&self, inputs: &[Dims]) -> Result<Vec<Dims>> {
        let x = single(inputs, "Activation")?;
        Ok(vec![self.activation.get().map_err(|e| e.under("activation"))?.output_dims(x)?])
    }

    fn call(&self, _: &Weights<'_>, inputs: &[Tensor], _: &mut Context) -> Result<Vec<Tensor>> {
        Ok(vec![self.activation.get()?.call(single(inputs, "Activation")?)?])
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        match (self.activation.name(), self.activation.get()) {
            ("linear", _) => None,
            (_, Ok(activation)) => Some(activation.range() == Range::Probability),
            _ => Some(false),
        }
    }
}
