use super::draw;
use crate::fields::require;
use crate::seed;
use sconce_core::{Config, Initializer, Result, Stream};

/// Uniform in `[minval, maxval)`. Keras: `RandomUniform`, `"random_uniform"`, `"uniform"`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(new(minval, maxval))]
pub struct RandomUniform {
    /// Seed of its own; `None`: the model's seed and the weight's path decide.
    #[config(with = seed)]
    pub seed: Option<u64>,
    /// Lower bound. Default -0.05.
    #[config(default = -0.05, range = "(-inf, inf)")]
    pub minval: f64,
    /// Upper bound, not below the lower. Default 0.05.
    #[config(default = 0.05, range = "(-inf, inf)")]
    pub maxval: f64,
}

impl Initializer for RandomUniform {
    fn check(&self) -> Result<()> {
        let expected = format!("at least minval ({})", self.minval);
        require(self.maxval >= self.minval, "maxval", &expected, self.maxval)
    }

    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>> {
        draw::uniform(dims, (self.minval, self.maxval), self.seed, stream)
    }
}
