//! Identity: `y = x`.

use crate::{Call, Layer};
use sconce_core::{Args, Result, Spec, Tensor};
use serde::{Deserialize, Serialize};

/// Passes its inputs on unchanged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {}

impl Identity {
    /// A new one.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Layer for Identity {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(x.flat().into_iter().cloned().collect())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        Ok(call.tensors().into_iter().cloned().collect())
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn casts_integers(&self) -> bool {
        false
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        None
    }
}
