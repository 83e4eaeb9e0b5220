//! PReLU: `y = x` for x > 0, else `alpha x`, with an alpha that is trained.
//!
//! He et al., "Delving deep into rectifiers: surpassing human-level performance on ImageNet
//! classification", 2015.

use crate::constraints::Constraint;
use crate::fields::weight;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::{Call, Layer};
use sconce_core::axes::known;
use sconce_core::{Args, Config, Error, Result, Spec, Tensor, WeightSpec};
use sconce_ops::Activation;
use sconce_ops::activations::Relu;
use sconce_ops::arithmetic::{Operator, arithmetic};

/// Rectified linear unit whose slope below 0 is a weight. x and y: any shape; alpha has the shape of a
/// sample, with length 1 for the axes that share it.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct PReLU {
    /// First values of alpha.
    #[config(default = "zeros")]
    pub alpha_initializer: Initializer,
    /// Penalty on alpha.
    pub alpha_regularizer: Option<Regularizer>,
    /// Projection of alpha after each update.
    pub alpha_constraint: Option<Constraint>,
    /// Axes along which alpha is the same, counted from 1 (the batch axis is 0): `[1, 2]` for images
    /// with one alpha for each channel.
    #[config(with = shared_axes)]
    pub shared_axes: Option<Vec<usize>>,
}

/// Keras takes one axis too.
mod shared_axes {
    use sconce_core::schema::Definitions;
    use sconce_core::value::mismatch;
    use sconce_core::{ConfigValue, Json, Result};
    use serde_json::json;

    pub fn from_json(value: &Json) -> Result<Option<Vec<usize>>> {
        match value {
            Json::Null | Json::Array(_) => Option::from_json(value),
            one => usize::from_json(one)
                .map(|axis| Some(vec![axis]))
                .map_err(|_| mismatch("null, an axis of at least 1 or a list of them", value)),
        }
    }

    pub fn to_json(value: &Option<Vec<usize>>) -> Result<Json> {
        value.to_json()
    }

    pub fn schema(_: &mut Definitions) -> Json {
        let axis = json!({"type": "integer", "minimum": 0});
        json!({"anyOf": [axis, {"type": "array", "items": axis}, {"type": "null"}]})
    }
}

impl PReLU {
    /// The shape of alpha, and whether the shared axes exist.
    fn alpha(&self, x: &Spec) -> Result<Vec<usize>> {
        let shared = self.shared_axes.as_deref().unwrap_or_default();
        if let Some(axis) = shared.iter().find(|axis| **axis == 0 || **axis >= x.dims.rank()) {
            let message =
                format!("shared_axes: axis {axis} is none of the axes of a sample of {}", x.dims);
            return Err(Error::layer("", message));
        }
        let length = |axis| if shared.contains(&axis) { Ok(1) } else { known(&x.dims, axis) };
        (1..x.dims.rank()).map(length).collect()
    }
}

impl Layer for PReLU {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("PReLU")?;
        self.alpha(x)?;
        Ok(vec![x.clone()])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let dims = self.alpha(x.single("PReLU")?)?;
        let (regularizer, constraint) = (&self.alpha_regularizer, &self.alpha_constraint);
        let first = &self.alpha_initializer;
        Ok(vec![weight("alpha", &dims, "alpha", first, regularizer, constraint)?])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let (x, alpha) = (call.single()?, call.weight("alpha")?.to_dtype(call.single()?.dtype())?);
        let relu = Relu::new();
        let minus = Tensor::new(-1f32, x.device())?.to_dtype(x.dtype())?;
        let negative = relu.call(&arithmetic(Operator::Multiply, x, &minus)?)?;
        let damped = arithmetic(Operator::Multiply, &negative, &alpha)?;
        Ok(vec![arithmetic(Operator::Subtract, &relu.call(x)?, &damped)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_core::Dims;

    #[test]
    fn shared_axes_are_axes_of_a_sample() {
        let shape = |axes: Vec<usize>| {
            PReLU::new().shared_axes(axes).alpha(&Spec::float(Dims::batch_of(&[4, 5, 3])))
        };
        assert_eq!(shape(vec![1, 2]).unwrap(), [1, 1, 3]);
        for wrong in [0, 4] {
            let error = shape(vec![wrong]).unwrap_err().to_string();
            assert!(
                error.contains("is none of the axes of a sample of (None, 4, 5, 3)"),
                "{error}"
            );
        }
    }
}
