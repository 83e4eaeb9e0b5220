//! LayerScale: `y = x gamma`, a factor of each channel that starts small.
//!
//! Touvron et al., "Going deeper with image transformers", 2021.

use crate::initializers::Constant;
use crate::{Call, Layer};
use sconce_core::{Args, Config, Error, Result, Spec, Tensor, WeightSpec};
use sconce_ops::arithmetic::{Operator, arithmetic};
use std::sync::Arc;

/// Multiplies each channel by a weight. x and y `[.., projection_dim]`, gamma `[projection_dim]`. Keras:
/// the layer of `keras.applications.convnext`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.applications.convnext")]
pub struct LayerScale {
    /// First value of gamma.
    #[config(range = "(-inf, inf)")]
    pub init_values: f64,
    /// Number of channels.
    pub projection_dim: usize,
}

impl Layer for LayerScale {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("LayerScale")?;
        if x.dims.last()? != self.projection_dim {
            let message = format!(
                "LayerScale of projection_dim {} does not go with inputs of shape {}",
                self.projection_dim, x.dims
            );
            return Err(Error::layer("", message));
        }
        Ok(vec![x.clone()])
    }

    fn weights(&self, _: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let first = Arc::new(Constant::new(self.init_values));
        Ok(vec![WeightSpec::new("gamma", &[self.projection_dim], first)])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        let gamma = call.weight("gamma")?.to_dtype(x.dtype())?;
        Ok(vec![arithmetic(Operator::Multiply, x, &gamma)?])
    }
}
