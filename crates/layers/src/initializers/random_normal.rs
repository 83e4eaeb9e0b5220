use super::draw;
use crate::fields::{require_finite, require_non_negative, seed};
use sconce_core::{Initializer, Result, Stream};
use serde::{Deserialize, Serialize};

/// Normal: `mean + stddev * z`. Keras: `RandomNormal`, `"random_normal"`, `"normal"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomNormal {
    /// Seed of its own; `None`: the model's seed and the weight's path decide.
    #[serde(deserialize_with = "seed")]
    pub seed: Option<u64>,
    /// Mean; 0.
    pub mean: f64,
    /// Standard deviation, at least 0; 0.05.
    pub stddev: f64,
}

impl Default for RandomNormal {
    fn default() -> Self {
        Self { seed: None, mean: 0.0, stddev: 0.05 }
    }
}

impl RandomNormal {
    /// With a mean and a standard deviation.
    pub fn new(mean: f64, stddev: f64) -> Self {
        Self { seed: None, mean, stddev }
    }

    /// With a seed of its own.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

impl Initializer for RandomNormal {
    fn check(&self) -> Result<()> {
        require_finite("mean", self.mean)?;
        require_non_negative("stddev", self.stddev)
    }

    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>> {
        draw::normal(dims, (self.mean, self.stddev), self.seed, stream)
    }
}
