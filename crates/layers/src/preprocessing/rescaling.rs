//! Rescaling: `y = x scale + offset`.

use crate::layer::single;
use crate::{Base, Layer};
use sconce_core::{Context, Dims, Result, Tensor, Weights};
use serde::{Deserialize, Serialize};

/// Multiplies by `scale` and adds `offset`: `Rescaling::new(1.0 / 255.0)`. x and y: any shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rescaling {
    /// Factor.
    pub scale: f64,
    /// Added after the factor.
    #[serde(default)]
    pub offset: f64,
    /// Name, trainable flag, input shape.
    #[serde(skip)]
    pub base: Base,
}

impl Rescaling {
    /// With offset 0.
    pub fn new(scale: f64) -> Self {
        Self { scale, offset: 0.0, base: Base::default() }
    }

    /// Sets the offset.
    pub fn offset(mut self, offset: f64) -> Self {
        self.offset = offset;
        self
    }
}

impl Layer for Rescaling {
    fn output_dims(&self, inputs: &[Dims]) -> Result<Vec<Dims>> {
        Ok(vec![single(inputs, "Rescaling")?.clone()])
    }

    fn call(&self, _: &Weights<'_>, inputs: &[Tensor], _: &mut Context) -> Result<Vec<Tensor>> {
        Ok(vec![single(inputs, "Rescaling")?.affine(self.scale, self.offset)?])
    }
}
