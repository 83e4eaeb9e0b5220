use super::{Distribution, Mode, VarianceScaling};
use crate::seed;
use sconce_core::{Config, Initializer, Result, Stream};

/// Normal, cut at two standard deviations, with the variance `2 / (fan_in + fan_out)` (see
/// [`fans`](super::fans())). Keras: `GlorotNormal`, `"glorot_normal"`. Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
/// networks", AISTATS 2010.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct GlorotNormal {
    /// Seed of its own; `None`: the model's seed and the weight's path decide.
    #[config(with = seed)]
    pub seed: Option<u64>,
    /// Axes that count as inputs, where the shape does not tell; used if `output_axes` is given too.
    pub input_axes: Option<Vec<i64>>,
    /// Axes that count as outputs.
    pub output_axes: Option<Vec<i64>>,
}

impl Initializer for GlorotNormal {
    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>> {
        VarianceScaling {
            seed: self.seed,
            input_axes: self.input_axes.clone(),
            output_axes: self.output_axes.clone(),
            ..VarianceScaling::new(1.0, Mode::FanAvg, Distribution::TruncatedNormal)
        }
        .values(dims, stream)
    }
}
