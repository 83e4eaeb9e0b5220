use super::draw;
use crate::fields::{require, require_finite, seed};
use sconce_core::{Initializer, Result, Stream};
use serde::{Deserialize, Serialize};

/// Uniform in `[minval, maxval)`. Keras: `RandomUniform`, `"random_uniform"`, `"uniform"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomUniform {
    /// Seed of its own; `None`: the model's seed and the weight's path decide.
    #[serde(deserialize_with = "seed")]
    pub seed: Option<u64>,
    /// Lower bound; -0.05.
    pub minval: f64,
    /// Upper bound, not below the lower; 0.05.
    pub maxval: f64,
}

impl Default for RandomUniform {
    fn default() -> Self {
        Self { seed: None, minval: -0.05, maxval: 0.05 }
    }
}

impl RandomUniform {
    /// With a lower and an upper bound.
    pub fn new(minval: f64, maxval: f64) -> Self {
        Self { seed: None, minval, maxval }
    }

    /// With a seed of its own.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

impl Initializer for RandomUniform {
    fn check(&self) -> Result<()> {
        require_finite("minval", self.minval)?;
        require_finite("maxval", self.maxval)?;
        let expected = format!("at least minval ({})", self.minval);
        require(self.maxval >= self.minval, "maxval", &expected, self.maxval)
    }

    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>> {
        draw::uniform(dims, (self.minval, self.maxval), self.seed, stream)
    }
}
