//! Rescaling: `y = x scale + offset`.

use crate::layer::single;
use crate::{Base, ConstantValue, Layer};
use sconce_core::{Context, Dims, Error, Result, Tensor, Weights};
use serde::{Deserialize, Serialize};

/// Multiplies by `scale` and adds `offset`: `Rescaling::new(1.0 / 255.0)`. x and y: any shape.
///
/// Either may be an array, such as one number a channel; its axes are compared with those of x from
/// the last one on, and each must be equal or 1. Keras: `Rescaling`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rescaling {
    /// Factor.
    pub scale: ConstantValue,
    /// Added after the factor; 0.
    #[serde(default)]
    pub offset: ConstantValue,
    /// Name, trainable flag, input shape.
    #[serde(skip)]
    pub base: Base,
}

impl Rescaling {
    /// With offset 0.
    pub fn new(scale: impl Into<ConstantValue>) -> Self {
        Self { scale: scale.into(), offset: ConstantValue::default(), base: Base::default() }
    }

    /// Sets the offset.
    pub fn offset(mut self, offset: impl Into<ConstantValue>) -> Self {
        self.offset = offset.into();
        self
    }
}

impl Layer for Rescaling {
    fn check(&self) -> Result<()> {
        self.scale.check("scale")?;
        self.offset.check("offset")
    }

    fn output_dims(&self, inputs: &[Dims]) -> Result<Vec<Dims>> {
        let x = single(inputs, "Rescaling")?;
        for (key, value) in [("scale", &self.scale), ("offset", &self.offset)] {
            if !value.broadcasts_to(x) {
                let message = format!(
                    "{key} of shape {:?} does not go with inputs of shape {x}",
                    value.dims()
                );
                return Err(Error::layer("", message));
            }
        }
        Ok(vec![x.clone()])
    }

    fn call(&self, _: &Weights<'_>, inputs: &[Tensor], _: &mut Context) -> Result<Vec<Tensor>> {
        let x = single(inputs, "Rescaling")?;
        let y = match (&self.scale, &self.offset) {
            (ConstantValue::Scalar(scale), ConstantValue::Scalar(offset)) => {
                x.affine(*scale, *offset)?
            }
            (scale, offset) => x.broadcast_mul(&scale.like(x)?)?.broadcast_add(&offset.like(x)?)?,
        };
        Ok(vec![y])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::from_json;
    use sconce_core::Device;
    use serde_json::json;

    #[test]
    fn arrays_come_in_keras_forms() {
        let x = Tensor::new(&[[1f32, 2., 3.], [4., 5., 6.]], &Device::Cpu).unwrap();
        for (scale, offset) in [
            (json!([1.0, 0.5, 2.0]), json!([0, 1, -1])),
            (
                json!({"class_name": "__numpy__", "config": {"value": [1.0, 0.5, 2.0], "dtype": "float64"}}),
                json!([[0.0, 1.0, -1.0]]),
            ),
        ] {
            let config =
                json!({"class_name": "Rescaling", "config": {"scale": scale, "offset": offset}});
            let layer = from_json(&config).unwrap();
            let (weights, mut cx) = (Weights::new(&[], false), Context::inference());
            let y = layer.call(&weights, std::slice::from_ref(&x), &mut cx).unwrap().remove(0);
            assert_eq!(y.to_vec2::<f32>().unwrap(), [[1., 2., 5.], [4., 3.5, 11.]]);
            assert!(layer.output_dims(&[Dims::batch_of(&[3])]).is_ok());
            let error = layer.output_dims(&[Dims::batch_of(&[4])]).unwrap_err().to_string();
            assert!(
                error.contains("scale of shape [3] does not go with inputs of shape (None, 4)"),
                "{error}"
            );
        }
        let error =
            from_json(&json!({"class_name": "Rescaling", "config": {"scale": [[1, 2], [3]]}}));
        let error = error.err().unwrap().to_string();
        assert!(error.contains("at `config.scale`: must be a number, or nested lists"), "{error}");
    }
}
