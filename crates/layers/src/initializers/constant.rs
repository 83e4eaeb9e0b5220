use super::draw;
use crate::fields::{require, require_finite};
use sconce_core::{Error, Initializer, Json, Result, Stream};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

/// One value everywhere, or an array that is broadcast to the weight (such as a table of pretrained
/// embeddings): its axes are compared with the weight's from the last one on, and each must be equal
/// or 1. Keras: `Constant`, `"constant"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Constant {
    /// The value or values; 0. In JSON a number, nested lists of numbers, or an array as Keras
    /// serializes it.
    pub value: ConstantValue,
}

impl Constant {
    /// With one value everywhere.
    pub fn new(value: f64) -> Self {
        Self { value: ConstantValue::Scalar(value) }
    }

    /// With an array of shape `dims`, its values in row-major order.
    pub fn array(dims: &[usize], values: Vec<f32>) -> Self {
        Self { value: ConstantValue::Array { dims: dims.to_vec(), values } }
    }
}

/// The value of [`Constant`].
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

impl Default for ConstantValue {
    fn default() -> Self {
        Self::Scalar(0.0)
    }
}

impl Initializer for Constant {
    fn check(&self) -> Result<()> {
        match &self.value {
            ConstantValue::Scalar(value) => require_finite("value", *value),
            ConstantValue::Array { dims, values } => {
                let expected = format!("{} values for the shape {dims:?}", draw::count(dims)?);
                require(values.len() == draw::count(dims)?, "value", &expected, values.len())
            }
        }
    }

    fn values(&self, dims: &[usize], _stream: &mut Stream) -> Result<Vec<f32>> {
        self.check()?;
        match &self.value {
            ConstantValue::Scalar(value) => draw::filled(dims, *value as f32),
            ConstantValue::Array { dims: from, values } => {
                let fits = from.len() <= dims.len()
                    && from.iter().rev().zip(dims.iter().rev()).all(|(f, d)| f == d || *f == 1);
                if !fits {
                    return Err(Error::layer(
                        "",
                        format!(
                            "the Constant initializer's array of shape {from:?} cannot be broadcast \
                             to the weight's shape {dims:?}"
                        ),
                    ));
                }
                broadcast(from, values, dims)
            }
        }
    }
}

/// Repeats `values` of shape `from`, which fits `dims`, along the axes where it is 1 or has none.
fn broadcast(from: &[usize], values: &[f32], dims: &[usize]) -> Result<Vec<f32>> {
    let mut out = draw::reserve(dims)?;
    let mut index = vec![0usize; dims.len()];
    for _ in 0..draw::count(dims)? {
        let own = index.iter().skip(dims.len() - from.len());
        let at = own.zip(from).fold(0, |at, (i, dim)| at * dim + i.min(&(dim - 1)));
        out.push(values[at]);
        for (i, dim) in index.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < *dim {
                break;
            }
            *i = 0;
        }
    }
    Ok(out)
}

impl Serialize for ConstantValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Scalar(value) => value.serialize(serializer),
            Self::Array { dims, values } => nested(dims, values).serialize(serializer),
        }
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

impl<'de> Deserialize<'de> for ConstantValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        // Keras writes arrays as {"class_name": "__numpy__" or "__tensor__", "config": {"value": ...}}.
        let array = json.get("class_name").is_some_and(|n| n == "__numpy__" || n == "__tensor__");
        let value = if array { &json["config"]["value"] } else { &json };
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
            return Err(serde::de::Error::custom(
                "a constant's value is a number, or nested lists of numbers that are all of one length \
                 at each depth",
            ));
        }
        Ok(Self::Array { dims, values })
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
