//! `linear(x) = x`.

use super::Activation;
use candle_core::{Result, Tensor};
use sconce_core::Config;

/// The identity, Keras's default activation.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "linear")]
pub struct Linear {}

impl Activation for Linear {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }

    fn fuses(&self) -> bool {
        true
    }
}
