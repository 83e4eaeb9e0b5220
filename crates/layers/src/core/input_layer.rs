//! InputLayer: where data enters a model.

use crate::{Base, Configured, Layer, Layers};
use sconce_core::registry::Member;
use sconce_core::{Context, DType, Dims, Error, Json, Result, Tensor, Weights, json};
use serde::{Deserialize, Serialize};

/// Declares the shape and type of one input. Data of another type is brought to it, so that a declared
/// `"int32"` cuts off what is behind the point; the model computes in float32 in any case.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputLayer {
    /// Shape with the batch axis first; `None` for any length.
    pub batch_shape: Dims,
    /// Type of the data: "float32" or an integer type.
    #[serde(default = "float32")]
    pub dtype: String,
    /// Keras's flag for sparse tensors; only `false`.
    #[serde(default)]
    pub sparse: bool,
    /// Keras's flag for ragged tensors; only `false`.
    #[serde(default)]
    pub ragged: bool,
    /// Its name in the model.
    #[serde(default)]
    pub name: Option<String>,
    /// Keras's flag for inputs that may be left out; only `false`.
    #[serde(default)]
    pub optional: bool,
    /// Holds the name for [`Configured`].
    #[serde(skip)]
    pub base: Base,
}

fn float32() -> String {
    "float32".to_string()
}

impl InputLayer {
    /// Keras's class name.
    pub const CLASS_NAME: &'static str = "InputLayer";

    /// Samples of the given shape (without the batch axis), float32.
    pub fn new(shape: impl AsRef<[usize]>) -> Self {
        Self::of(Dims::batch_of(shape.as_ref()))
    }

    /// Of a shape with its batch axis.
    pub fn of(batch_shape: Dims) -> Self {
        Self {
            batch_shape,
            dtype: float32(),
            sparse: false,
            ragged: false,
            name: None,
            optional: false,
            base: Base::default(),
        }
    }

    /// Reads the configuration. Name and dtype are InputLayer's own keys in Keras.
    pub(crate) fn from_config(config: Json) -> Result<Self> {
        let mut layer: Self = json::parse(config)?;
        layer.base.name = layer.name.clone();
        layer.check()?;
        Ok(layer)
    }

    /// Reads it with its complete configuration.
    pub(crate) fn read(config: &json::Map) -> Result<Member<Layers>> {
        let layer = Self::from_config(Json::Object(config.clone()))?;
        let config = layer.config()?;
        let layer: std::sync::Arc<dyn Layer> = std::sync::Arc::new(layer);
        Member::of(layer, config)
    }
}

impl InputLayer {
    /// The values that the declared type can hold, in the type that x has.
    fn accept(&self, x: &Tensor) -> Result<Tensor> {
        let through = |dtype| Ok(x.to_dtype(dtype)?.to_dtype(x.dtype())?);
        match self.dtype.as_str() {
            "float32" | "float64" => Ok(x.clone()),
            "float16" => through(DType::F16),
            "bfloat16" => through(DType::BF16),
            "bool" => Ok(x.ne(0.0)?.to_dtype(x.dtype())?),
            // Whole numbers: what is behind the point is cut off.
            _ => through(DType::I64),
        }
    }
}

impl Configured for InputLayer {
    fn class_name(&self) -> &'static str {
        Self::CLASS_NAME
    }

    fn config(&self) -> Result<Json> {
        let named = Self { name: self.base.name.clone(), ..self.clone() };
        serde_json::to_value(named).map_err(|e| Error::config("", e.to_string()))
    }

    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }
}

impl Layer for InputLayer {
    fn check(&self) -> Result<()> {
        if self.sparse || self.ragged || self.optional {
            return Err(Error::config("", "sparse, ragged and optional inputs are not supported"));
        }
        if self.batch_shape.rank() == 0 {
            return Err(Error::config("batch_shape", "needs at least the batch axis"));
        }
        let known = [
            "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64",
            "uint8", "uint16", "uint32", "bool",
        ];
        if !known.contains(&self.dtype.as_str()) {
            return Err(Error::config(
                "dtype",
                sconce_core::registry::unknown("dtype", &self.dtype, known),
            ));
        }
        Ok(())
    }

    fn output_dims(&self, _: &[Dims]) -> Result<Vec<Dims>> {
        Ok(vec![self.batch_shape.clone()])
    }

    fn call(&self, _: &Weights<'_>, inputs: &[Tensor], _: &mut Context) -> Result<Vec<Tensor>> {
        inputs.iter().map(|x| self.accept(x)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_core::Device;

    #[test]
    fn data_is_brought_to_the_declared_type() {
        let x = Tensor::new(&[-1.75f32, 0.0, 0.1, 2.5], &Device::Cpu).unwrap();
        for (dtype, expected) in [
            ("float32", [-1.75, 0.0, 0.1, 2.5]),
            ("int32", [-1.0, 0.0, 0.0, 2.0]),
            ("bool", [1.0, 0.0, 1.0, 1.0]),
            ("float16", [-1.75, 0.0, 0.099975586, 2.5]),
        ] {
            let layer = InputLayer { dtype: dtype.into(), ..InputLayer::new([4]) };
            assert_eq!(layer.accept(&x).unwrap().to_vec1::<f32>().unwrap(), expected, "{dtype}");
        }
    }
}
