//! Identity: `y = x`.

use crate::{Call, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor};

/// Passes its inputs on unchanged.
#[derive(Clone, Debug, Config)]
pub struct Identity {}

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
