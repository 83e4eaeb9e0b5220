//! What the fields of several configurations share: checks of their values, and the forms Keras
//! writes them in.

use sconce_core::{Error, Json, Result};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::fmt::Display;

/// An error at `key` unless `ok`: "must be `expected`, found `found`".
pub fn require(ok: bool, key: &str, expected: &str, found: impl Display) -> Result<()> {
    if ok {
        return Ok(());
    }
    Err(Error::config(key, format!("must be {expected}, found {found}")))
}

/// A finite number that is at least zero.
pub fn require_non_negative(key: &str, value: f64) -> Result<()> {
    require(value >= 0.0 && value.is_finite(), key, "a number of at least 0", value)
}

/// A finite number.
pub fn require_finite(key: &str, value: f64) -> Result<()> {
    require(value.is_finite(), key, "a finite number", value)
}

/// A seed as Keras writes it: `null`, a number, or a serialized `SeedGenerator`, of which its seed
/// is taken.
pub fn seed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let json = Json::deserialize(deserializer)?;
    let generator = json.get("class_name").is_some_and(|name| name == "SeedGenerator");
    let value = if generator { &json["config"]["seed"] } else { &json };
    if value.is_null() {
        return Ok(None);
    }
    // Other writers of JSON know only floats: 7.0 is a whole number.
    let whole = value.as_f64().filter(|v| v.fract() == 0.0 && (0.0..=2f64.powi(53)).contains(v));
    match value.as_u64().or(whole.map(|v| v as u64)) {
        Some(seed) => Ok(Some(seed)),
        None => Err(D::Error::custom(format!(
            "a seed is null, a whole number of at least 0 or a SeedGenerator, found {json}"
        ))),
    }
}
