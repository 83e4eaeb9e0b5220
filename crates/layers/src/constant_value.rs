//! Constants in configurations: a number, or an array in any of the forms that Keras writes.

use crate::fields::{require, require_finite};
use crate::initializers::draw;
use sconce_core::schema::Definitions;
use sconce_core::value::{self, mismatch};
use sconce_core::{ConfigValue, Dims, Json, Result, Tensor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

/// A number or an array of numbers, for the constants that Keras takes as either.
#[derive(Clone, Debug, PartialEq)]
pub enum ConstantValue {
    /// The same everywhere.
    Scalar(f64),
    /// An array.
    Array {
        /// Its shape.
        dims: Vec<usize>,
        /// Its values in row-major order.
        values: Vec<f32>,
    },
}

impl ConstantValue {
    /// Its shape; none for a number.
    pub fn dims(&self) -> &[usize] {
        match self {
            Self::Scalar(_) => &[],
            Self::Array { dims, .. } => dims,
        }
    }

    /// Refuses a number that is not finite, and values that are too many or too few for the shape.
    pub(crate) fn check(&self, key: &str) -> Result<()> {
        match self {
            Self::Scalar(value) => require_finite(key, *value),
            Self::Array { dims, values } => {
                let count = draw::count(dims)?;
                let expected = format!("{count} values for the shape {dims:?}");
                require(values.len() == count, key, &expected, values.len())
            }
        }
    }

    /// Whether every axis, from the last one on, is 1 or that of a tensor of this shape.
    pub(crate) fn broadcasts_to(&self, to: &Dims) -> bool {
        let axes = || self.dims().iter().rev().zip(to.0.iter().rev());
        self.dims().len() <= to.rank()
            && axes().all(|(own, to)| *own == 1 || to.is_none_or(|to| to == *own))
    }

    /// As a tensor of the type and on the device of another.
    pub(crate) fn like(&self, x: &Tensor) -> Result<Tensor> {
        let value = match self {
            Self::Scalar(value) => Tensor::new(*value, x.device())?,
            Self::Array { dims, values } => {
                Tensor::from_slice(values, dims.as_slice(), x.device())?
            }
        };
        Ok(value.to_dtype(x.dtype())?)
    }
}

impl Default for ConstantValue {
    fn default() -> Self {
        Self::Scalar(0.0)
    }
}

impl From<f64> for ConstantValue {
    fn from(value: f64) -> Self {
        Self::Scalar(value)
    }
}

impl From<Vec<f32>> for ConstantValue {
    fn from(values: Vec<f32>) -> Self {
        Self::Array { dims: vec![values.len()], values }
    }
}

impl<const N: usize> From<[f32; N]> for ConstantValue {
    fn from(values: [f32; N]) -> Self {
        values.to_vec().into()
    }
}

fn nested(dims: &[usize], values: &[f32]) -> Json {
    match dims {
        [] => json!(values.first()),
        [_] => json!(values),
        [_, inner @ ..] => {
            let length = inner.iter().product::<usize>().max(1);
            values.chunks(length).map(|values| nested(inner, values)).collect()
        }
    }
}

impl ConfigValue for ConstantValue {
    fn from_json(json: &Json) -> Result<Self> {
        let value = value::array_value(json);
        if let Some(value) = value.as_f64() {
            return Ok(Self::Scalar(value));
        }
        let mut dims = Vec::new();
        let mut inner = value;
        while let Some(items) = inner.as_array() {
            dims.push(items.len());
            inner = items.first().unwrap_or(&Json::Null);
        }
        let mut values = Vec::new();
        if dims.is_empty() || !flatten(value, &dims, &mut values) {
            let expected =
                "a number, or nested lists of numbers that are all of one length at each depth";
            return Err(mismatch(expected, json));
        }
        Ok(Self::Array { dims, values })
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::Scalar(value) => value.to_json(),
            Self::Array { dims, values } => Ok(nested(dims, values)),
        }
    }

    fn schema(definitions: &mut Definitions) -> Json {
        let number = json!({"type": "number"});
        let nested = definitions.named("nested_numbers", |_| {
            let inner = json!({"anyOf": [number, {"$ref": "#/$defs/nested_numbers"}]});
            json!({"type": "array", "items": inner})
        });
        definitions.named("number_or_array", |_| {
            json!({"anyOf": [number, nested, {
                "description": "An array as Keras serializes it.",
                "type": "object",
                "required": ["class_name", "config"],
                "properties": {
                    "class_name": {"enum": ["__numpy__", "__tensor__"]},
                    "config": {
                        "type": "object",
                        "required": ["value"],
                        "properties": {"value": {"anyOf": [number, nested]}},
                    },
                },
            }]})
        })
    }
}

impl Serialize for ConstantValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        value::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for ConstantValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        value::deserialize(deserializer)
    }
}

fn flatten(json: &Json, dims: &[usize], values: &mut Vec<f32>) -> bool {
    match (json, dims) {
        (Json::Array(items), [dim, dims @ ..]) if items.len() == *dim => {
            items.iter().all(|item| flatten(item, dims, values))
        }
        (Json::Number(number), []) => {
            values.extend(number.as_f64().map(|value| value as f32));
            true
        }
        _ => false,
    }
}
