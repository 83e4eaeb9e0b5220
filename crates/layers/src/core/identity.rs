//! Identity: `y = x`.

use crate::{Base, Layer};
use sconce_core::{Context, Dims, Result, Tensor, Weights};
use serde::{Deserialize, Serialize};

/// Passes its inputs on unchanged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Name, trainable flag, input shape.
    #[serde(skip)]
    pub base: Base,
}

impl Identity {
    /// A new one.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Layer for Identity {
    fn output_dims(&self, inputs: &[Dims]) -> Result<Vec<Dims>> {
        Ok(inputs.to_vec())
    }

    fn call(&self, _: &Weights<'_>, inputs: &[Tensor], _: &mut Context) -> Result<Vec<Tensor>> {
        Ok(inputs.to_vec())
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        None
    }
}
