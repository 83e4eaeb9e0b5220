use super::draw;
use crate::seed;
use sconce_core::{Config, Initializer, Result, Stream};

/// Normal: `mean + stddev * z`, cut at `mean - 2 stddev` and `mean + 2 stddev`. The standard deviation of
/// the values is 0.87962566 `stddev`. Keras: `TruncatedNormal`, `"truncated_normal"`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(new(mean, stddev))]
pub struct TruncatedNormal {
    /// Seed of its own; `None`: the model's seed and the weight's path decide.
    #[config(with = seed)]
    pub seed: Option<u64>,
    /// Mean. Default 0.
    #[config(default = 0.0, range = "(-inf, inf)")]
    pub mean: f64,
    /// Standard deviation before the cut, at least 0. Default 0.05.
    #[config(default = 0.05, range = "[0, inf)")]
    pub stddev: f64,
}

impl Initializer for TruncatedNormal {
    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>> {
        draw::truncated_normal(dims, (self.mean, self.stddev), self.seed, stream)
    }
}
