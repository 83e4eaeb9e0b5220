use super::{Axis, EPSILON};
use crate::fields::{require, require_non_negative};
use sconce_core::{Constraint, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Scales weights towards norms between `min_value` and `max_value`: `w * wanted / (norm + 1e-7)`, where
/// `wanted = rate * clamp(norm, min_value, max_value) + (1 - rate) * norm`. Keras: `MinMaxNorm`,
/// `"min_max_norm"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MinMaxNorm {
    /// Smallest norm, at least 0; 0.
    pub min_value: f64,
    /// Largest norm, at least the smallest; 1.
    pub max_value: f64,
    /// How much of the way is gone at each update, from 0 to 1; 1: all of it.
    pub rate: f64,
    /// Axes along which norms are taken; 0.
    pub axis: Axis,
}

impl Default for MinMaxNorm {
    fn default() -> Self {
        Self::new(0.0, 1.0)
    }
}

impl MinMaxNorm {
    /// With a smallest and a largest norm.
    pub fn new(min_value: f64, max_value: f64) -> Self {
        Self { min_value, max_value, rate: 1.0, axis: Axis::default() }
    }

    /// With a part of the way to go at each update.
    pub fn rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// With other axes than 0.
    pub fn axis(mut self, axis: impl Into<Axis>) -> Self {
        self.axis = axis.into();
        self
    }
}

impl Constraint for MinMaxNorm {
    fn check(&self) -> Result<()> {
        require_non_negative("min_value", self.min_value)?;
        let expected = format!("a number of at least min_value ({})", self.min_value);
        let ordered = self.max_value >= self.min_value && self.max_value.is_finite();
        require(ordered, "max_value", &expected, self.max_value)?;
        require((0.0..=1.0).contains(&self.rate), "rate", "a number from 0 to 1", self.rate)
    }

    fn project(&self, weight: &Tensor) -> Result<Tensor> {
        let norms = self.axis.norms(weight)?;
        let clamped = norms.clamp(self.min_value, self.max_value)?;
        let wanted = ((clamped * self.rate)? + (&norms * (1.0 - self.rate))?)?;
        Ok(weight.broadcast_mul(&(wanted / (norms + EPSILON)?)?)?)
    }
}
