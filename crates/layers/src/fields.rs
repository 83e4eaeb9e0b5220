//! What the fields of several configurations share: checks of values, and the statement of a weight.

use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::layer::optional;
use crate::regularizers::Regularizer;
use sconce_core::{Error, Result, WeightSpec};
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

/// A weight, whose fields in the configuration are `key` followed by `_initializer` and so on.
pub fn weight(
    name: &str,
    dims: &[usize],
    key: &str,
    initializer: &Initializer,
    regularizer: &Option<Regularizer>,
    constraint: &Option<Constraint>,
) -> Result<WeightSpec> {
    let initializer =
        initializer.get().cloned().map_err(|e| e.under(&format!("{key}_initializer")))?;
    Ok(WeightSpec::new(name, dims, initializer)
        .regularizer(optional(regularizer, &format!("{key}_regularizer"))?)
        .constraint(optional(constraint, &format!("{key}_constraint"))?))
}

/// The weight `bias` of these dimensions, if there is one.
pub fn bias(
    dims: Option<&[usize]>,
    initializer: &Initializer,
    regularizer: &Option<Regularizer>,
    constraint: &Option<Constraint>,
) -> Result<Option<WeightSpec>> {
    dims.map(|dims| weight("bias", dims, "bias", initializer, regularizer, constraint)).transpose()
}
