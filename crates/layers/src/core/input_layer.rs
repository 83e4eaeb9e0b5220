//! InputLayer: where data enters a model.

use crate::{Base, Configured, Layer};
use sconce_core::{Context, Dims, Error, Json, Result, Tensor, Weights, json};
use serde::{Deserialize, Serialize};

/// Declares the shape and type of one input. It computes nothing.
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

    /// The complete configuration from a partial one.
    pub(crate) fn complete(config: Json) -> Result<Json> {
        Self::from_config(config)?.config()
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
        Ok(inputs.to_vec())
    }
}
