use super::{Distribution, Mode, VarianceScaling};
use crate::seed;
use sconce_core::{Config, Initializer, Result, Stream};

/// Uniform in `[-limit, limit]`, `limit = sqrt(3 / fan_in)` (see [`fans`](super::fans())). Keras:
/// `LecunUniform`, `"lecun_uniform"`. Source: LeCun et al., "Efficient backprop", 1998;
/// Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct LecunUniform {
    /// Seed of its own; `None`: the model's seed and the weight's path decide.
    #[config(with = seed)]
    pub seed: Option<u64>,
    /// Axes that count as inputs, where the shape does not tell; used if `output_axes` is given too.
    pub input_axes: Option<Vec<i64>>,
    /// Axes that count as outputs.
    pub output_axes: Option<Vec<i64>>,
}

impl Initializer for LecunUniform {
    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>> {
        VarianceScaling {
            seed: self.seed,
            input_axes: self.input_axes.clone(),
            output_axes: self.output_axes.clone(),
            ..VarianceScaling::new(1.0, Mode::FanIn, Distribution::Uniform)
        }
        .values(dims, stream)
    }
}
