//! CustomScaleLayer: `y = x1 + scale x2`, the residual connection of Inception-ResNet.
//!
//! Szegedy et al., "Inception-v4, Inception-ResNet and the impact of residual connections on learning", 2017.

use super::pair;
use crate::{Call, Layer};
use sconce_core::{Args, Config, Error, Result, Spec, Tensor};
use sconce_ops::arithmetic::{Operator, arithmetic};

/// Adds a scaled second input to the first. x1, x2 and y: any shape, all the same. Keras: the layer of
/// `keras.applications.inception_resnet_v2`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.applications.inception_resnet_v2")]
pub struct CustomScaleLayer {
    /// Factor of the second input.
    #[config(range = "(-inf, inf)")]
    pub scale: f64,
}

impl Layer for CustomScaleLayer {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let [a, b] = pair(x, "CustomScaleLayer")?;
        let fits = |(a, b): (&Option<usize>, &Option<usize>)| a.is_none() || b.is_none() || a == b;
        if a.dims.rank() != b.dims.rank() || !a.dims.0.iter().zip(&b.dims.0).all(fits) {
            let message = format!("inputs of shapes {} and {} cannot be added", a.dims, b.dims);
            return Err(Error::layer("", message));
        }
        Ok(vec![a.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        pair(call.args(), "CustomScaleLayer")?;
        let inputs = call.tensors();
        let (a, b) = (inputs[0], inputs[1]);
        let scale = Tensor::new(self.scale, b.device())?.to_dtype(b.dtype())?;
        let scaled = arithmetic(Operator::Multiply, b, &scale)?;
        Ok(vec![arithmetic(Operator::Add, a, &scaled)?])
    }
}
