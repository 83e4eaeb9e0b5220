//! Rescaling: `y = x scale + offset`.

use crate::{Call, ConstantValue, Layer};
use sconce_core::{Args, Config, Error, Result, Spec, Tensor};

/// Multiplies by `scale` and adds `offset`: `Rescaling::new(1.0 / 255.0)`. x and y: any shape.
///
/// Either may be an array, such as one number a channel; its axes are compared with those of x from
/// the last one on, and each must be equal or 1. Keras: `Rescaling`.
#[derive(Clone, Debug, Config)]
#[config(named, no_new)]
pub struct Rescaling {
    /// Factor.
    pub scale: ConstantValue,
    /// Added after the factor; 0.
    #[config(default, no_builder)]
    pub offset: ConstantValue,
}

impl Rescaling {
    /// With offset 0.
    pub fn new(scale: impl Into<ConstantValue>) -> Self {
        Self { scale: scale.into(), offset: ConstantValue::default() }
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

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("Rescaling")?;
        for (key, value) in [("scale", &self.scale), ("offset", &self.offset)] {
            if !value.broadcasts_to(&x.dims) {
                let message = format!(
                    "{key} of shape {:?} does not go with inputs of shape {}",
                    value.dims(),
                    x.dims
                );
                return Err(Error::layer("", message));
            }
        }
        Ok(vec![x.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        let y = match (&self.scale, &self.offset) {
            (ConstantValue::Scalar(scale), ConstantValue::Scalar(offset)) => {
                x.affine(*scale, *offset)?
            }
            (scale, offset) => x.broadcast_mul(&scale.like(x)?)?.broadcast_add(&offset.like(x)?)?,
        };
        Ok(vec![y])
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::from_json;
    use sconce_core::{Context, Device, Dims};
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
            let y = crate::run(&layer, &[&x], &mut Context::inference()).unwrap().remove(0);
            assert_eq!(y.to_vec2::<f32>().unwrap(), [[1., 2., 5.], [4., 3.5, 11.]]);
            let spec = |width| Args::one(Spec::float(Dims::batch_of(&[width])));
            assert!(layer.outputs(&spec(3)).is_ok());
            let error = layer.outputs(&spec(4)).unwrap_err().to_string();
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
