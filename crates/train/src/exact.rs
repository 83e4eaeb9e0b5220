//! Floating-point numbers in JSON without loss: those that JSON has no word for are strings.

use sconce_core::{Error, Json, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number, or `"NaN"`, `"inf"`, `"-inf"`.
pub(crate) fn to_json(value: f64) -> Json {
    if value.is_finite() { value.into() } else { value.to_string().into() }
}

/// What [`to_json`] wrote.
pub(crate) fn from_json(value: &Json) -> Result<f64> {
    let word = || value.as_str().filter(|word| ["NaN", "inf", "-inf"].contains(word))?.parse().ok();
    value.as_f64().or_else(word).ok_or_else(|| Error::data(format!("{value} is not a number")))
}

/// For fields that are numbers or nothing: `#[serde(with = "exact::option")]`.
pub(crate) mod option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<f64>,
        to: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        value.map(to_json).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> std::result::Result<Option<f64>, D::Error> {
        let read = Option::<Json>::deserialize(from)?;
        read.map(|value| from_json(&value).map_err(serde::de::Error::custom)).transpose()
    }
}
