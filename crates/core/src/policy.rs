//! The types that a layer computes in and keeps its weights in: Keras's dtype policies.

use crate::schema::{self, Definitions};
use crate::{ConfigValue, Error, Json, Result};
use candle_core::DType;

/// Keras's `DTypePolicy`. Only `float32` is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DTypePolicy {
    /// The type float inputs are brought to.
    pub compute: DType,
    /// The type float weights are kept in.
    pub variable: DType,
}

impl Default for DTypePolicy {
    fn default() -> Self {
        Self { compute: DType::F32, variable: DType::F32 }
    }
}

impl DTypePolicy {
    /// Reads `null`, a name, or a serialized policy.
    ///
    /// # Errors
    /// For every policy but `float32`, by name.
    pub fn from_json(value: &Json) -> Result<Self> {
        let name = match value {
            Json::Null => return Ok(Self::default()),
            Json::String(name) => name.as_str(),
            policy => policy.pointer("/config/name").and_then(Json::as_str).unwrap_or("unknown"),
        };
        if name == "float32" {
            return Ok(Self::default());
        }
        Err(Error::config(
            "",
            format!("the dtype policy `{name}` is not supported yet; use `float32`"),
        ))
    }

    /// Keras's serialized form.
    pub fn to_json(self) -> Json {
        serde_json::json!({
            "module": "keras", "class_name": "DTypePolicy",
            "config": { "name": "float32" }, "registered_name": null,
        })
    }
}

impl ConfigValue for DTypePolicy {
    fn from_json(value: &Json) -> Result<Self> {
        Self::from_json(value)
    }

    fn to_json(&self) -> Result<Json> {
        Ok((*self).to_json())
    }

    fn schema(_: &mut Definitions) -> Json {
        schema::dtype()
    }
}

/// The names that [`dtype_of`] knows.
pub const DTYPES: [&str; 12] = [
    "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8",
    "uint16", "uint32", "bool",
];

/// The type that data declared as one of Keras's types has here: the nearest that holds every value.
///
/// # Errors
/// For a name that is no type, with the nearest that is.
pub fn dtype_of(name: &str) -> Result<DType> {
    Ok(match name {
        "float32" => DType::F32,
        "float64" => DType::F64,
        "float16" => DType::F16,
        "bfloat16" => DType::BF16,
        "bool" | "uint8" => DType::U8,
        "int8" | "int16" => DType::I16,
        "int32" | "uint16" => DType::I32,
        "uint32" => DType::U32,
        "int64" => DType::I64,
        other => {
            return Err(Error::config("dtype", crate::registry::unknown("dtype", other, DTYPES)));
        }
    })
}

/// Keras's name of a type.
pub fn keras_name(dtype: DType) -> &'static str {
    match dtype {
        DType::U8 => "uint8",
        DType::U32 => "uint32",
        DType::I16 => "int16",
        DType::I32 => "int32",
        DType::I64 => "int64",
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        DType::F64 => "float64",
        _ => "float32",
    }
}
