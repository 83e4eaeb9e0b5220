use super::{Axis, EPSILON};
use crate::fields::require;
use sconce_core::{Config, Constraint, Result, Tensor};

/// Scales weights towards norms between `min_value` and `max_value`: `w * wanted / (norm + 1e-7)`, where
/// `wanted = rate * clamp(norm, min_value, max_value) + (1 - rate) * norm`. Keras: `MinMaxNorm`,
/// `"min_max_norm"`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(new(min_value, max_value))]
pub struct MinMaxNorm {
    /// Smallest norm, at least 0. Default 0.
    #[config(default = 0.0, range = "[0, inf)")]
    pub min_value: f64,
    /// Largest norm, at least the smallest. Default 1.
    #[config(default = 1.0, range = "[0, inf)")]
    pub max_value: f64,
    /// How much of the way is gone at each update, from 0 to 1. Default 1, all of it.
    #[config(default = 1.0, range = "[0, 1]")]
    pub rate: f64,
    /// Axes along which norms are taken. Default 0.
    #[config(default)]
    pub axis: Axis,
}

impl Constraint for MinMaxNorm {
    fn check(&self) -> Result<()> {
        let expected = format!("a number of at least min_value ({})", self.min_value);
        require(self.max_value >= self.min_value, "max_value", &expected, self.max_value)
    }

    fn project(&self, weight: &Tensor) -> Result<Tensor> {
        let norms = self.axis.norms(weight)?;
        let clamped = norms.clamp(self.min_value, self.max_value)?;
        let wanted = ((clamped * self.rate)? + (&norms * (1.0 - self.rate))?)?;
        Ok(weight.broadcast_mul(&(wanted / (norms + EPSILON)?)?)?)
    }
}
