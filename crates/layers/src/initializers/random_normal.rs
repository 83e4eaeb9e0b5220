use super::draw;
use crate::seed;
use sconce_core::{Config, Initializer, Result, Stream};

/// Normal: `mean + stddev * z`. Keras: `RandomNormal`, `"random_normal"`, `"normal"`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(new(mean, stddev))]
pub struct RandomNormal {
    /// Seed of its own; `None`: the model's seed and the weight's path decide.
    #[config(with = seed)]
    pub seed: Option<u64>,
    /// Mean. Default 0.
    #[config(default = 0.0, range = "(-inf, inf)")]
    pub mean: f64,
    /// Standard deviation, at least 0. Default 0.05.
    #[config(default = 0.05, range = "[0, inf)")]
    pub stddev: f64,
}

impl Initializer for RandomNormal {
    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>> {
        draw::normal(dims, (self.mean, self.stddev), self.seed, stream)
    }
}
