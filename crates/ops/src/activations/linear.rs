//! `linear(x) = x`.

use super::Activation;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// The identity, Keras's default activation.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {}

impl Activation for Linear {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }

    fn fuses(&self) -> bool {
        true
    }
}
