use super::draw;
use crate::fields::{require_finite, require_non_negative, seed};
use sconce_core::{Initializer, Result, Stream};
use serde::{Deserialize, Serialize};

/// Normal: `mean + stddev * z`, cut at `mean - 2 stddev` and `mean + 2 stddev`. The standard deviation of
/// the values is 0.87962566 `stddev`. Keras: `TruncatedNormal`, `"truncated_normal"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TruncatedNormal {
    /// Seed of its own; `None`: the model's seed and the weight's path decide.
    #[serde(deserialize_with = "seed")]
    pub seed: Option<u64>,
    /// Mean; 0.
    pub mean: f64,
    /// Standard deviation before the cut, at least 0; 0.05.
    pub stddev: f64,
}

impl Default for TruncatedNormal {
    fn default() -> Self {
        Self { seed: None, mean: 0.0, stddev: 0.05 }
    }
}

impl TruncatedNormal {
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

impl Initializer for TruncatedNormal {
    fn check(&self) -> Result<()> {
        require_finite("mean", self.mean)?;
        require_non_negative("stddev", self.stddev)
    }

    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>> {
        draw::truncated_normal(dims, (self.mean, self.stddev), self.seed, stream)
    }
}
