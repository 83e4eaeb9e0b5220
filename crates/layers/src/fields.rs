//! Checks of values that the fields of several configurations share.

use sconce_core::{Error, Result};
use std::fmt::Display;

/// An error at `key` unless `ok`: "must be `expected`, found `found`".
pub fn require(ok: bool, key: &str, expected: &str, found: impl Display) -> Result<()> {
    if ok {
        return Ok(());
    }
    Err(Error::config(key, format!("must be {expected}, found {found}")))
}

/// A finite number.
pub fn require_finite(key: &str, value: f64) -> Result<()> {
    require(value.is_finite(), key, "a finite number", value)
}
