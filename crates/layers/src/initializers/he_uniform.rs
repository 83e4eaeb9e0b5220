use super::{Distribution, Mode, VarianceScaling};
use crate::seed;
use sconce_core::{Config, Initializer, Result, Stream};

/// Uniform in `[-limit, limit]`, `limit = sqrt(6 / fan_in)` (see [`fans`](super::fans())). Keras: `HeUniform`,
/// `"he_uniform"`. Source: He et al., "Delving deep into rectifiers", ICCV 2015.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct HeUniform {
    /// Seed of its own; `None`: the model's seed and the weight's path decide.
    #[config(with = seed)]
    pub seed: Option<u64>,
    /// Axes that count as inputs, where the shape does not tell; used if `output_axes` is given too.
    pub input_axes: Option<Vec<i64>>,
    /// Axes that count as outputs.
    pub output_axes: Option<Vec<i64>>,
}

impl Initializer for HeUniform {
    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>> {
        VarianceScaling {
            seed: self.seed,
            input_axes: self.input_axes.clone(),
            output_axes: self.output_axes.clone(),
            ..VarianceScaling::new(2.0, Mode::FanIn, Distribution::Uniform)
        }
        .values(dims, stream)
    }
}
