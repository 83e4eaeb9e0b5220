use super::{draw, fans};
use crate::fields::{require, seed};
use sconce_core::{Initializer, Result, Stream};
use serde::{Deserialize, Serialize};

/// Random values with the variance `scale / n`, where `n` is a fan of the weight (see
/// [`fans`](super::fans()); at least 1):
///
/// - `truncated_normal`: normal with the standard deviation `sqrt(scale / n) / 0.87962566103423978`, cut
///   at two of them, which leaves the variance `scale / n`;
/// - `untruncated_normal`: normal with the standard deviation `sqrt(scale / n)`;
/// - `uniform` in `[-limit, limit]`, `limit = sqrt(3 scale / n)`.
///
/// Errors: a scale that is not positive; axes that the weight does not have. Keras: `VarianceScaling`,
/// `"variance_scaling"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VarianceScaling {
    /// Seed of its own; `None`: the model's seed and the weight's path decide.
    #[serde(deserialize_with = "seed")]
    pub seed: Option<u64>,
    /// Factor of the variance, above 0; 1.
    pub scale: f64,
    /// Which fan `n` is; `fan_in`.
    pub mode: Mode,
    /// Shape of the distribution; `truncated_normal`.
    pub distribution: Distribution,
    /// Axes that count as inputs, where the shape does not tell; used if `output_axes` is given too.
    pub input_axes: Option<Vec<i64>>,
    /// Axes that count as outputs.
    pub output_axes: Option<Vec<i64>>,
}

/// The fan that [`VarianceScaling`] divides by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Inputs of a unit.
    #[default]
    FanIn,
    /// Outputs of a unit.
    FanOut,
    /// The mean of both.
    FanAvg,
}

/// The distribution of [`VarianceScaling`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Normal, cut at two standard deviations; also read from `"normal"`.
    #[default]
    #[serde(alias = "normal")]
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
    /// Uniform.
    Uniform,
}

impl Default for VarianceScaling {
    fn default() -> Self {
        Self::new(1.0, Mode::default(), Distribution::default())
    }
}

impl VarianceScaling {
    /// With a factor, a fan and a distribution.
    pub fn new(scale: f64, mode: Mode, distribution: Distribution) -> Self {
        Self { seed: None, scale, mode, distribution, input_axes: None, output_axes: None }
    }

    /// With a seed of its own.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

impl Initializer for VarianceScaling {
    fn check(&self) -> Result<()> {
        let positive = self.scale > 0.0 && self.scale.is_finite();
        require(positive, "scale", "a number above 0", self.scale)
    }

    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>> {
        /// Standard deviation of a standard normal distribution cut at -2 and 2.
        const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;
        let (fan_in, fan_out) =
            fans(dims, self.input_axes.as_deref(), self.output_axes.as_deref())?;
        let fan = match self.mode {
            Mode::FanIn => fan_in,
            Mode::FanOut => fan_out,
            Mode::FanAvg => (fan_in + fan_out) / 2.0,
        };
        let variance = self.scale / fan.max(1.0);
        let stddev = variance.sqrt();
        match self.distribution {
            Distribution::TruncatedNormal => {
                draw::truncated_normal(dims, (0.0, stddev / TRUNCATED_STDDEV), self.seed, stream)
            }
            Distribution::UntruncatedNormal => draw::normal(dims, (0.0, stddev), self.seed, stream),
            Distribution::Uniform => {
                let limit = (3.0 * variance).sqrt();
                draw::uniform(dims, (-limit, limit), self.seed, stream)
            }
        }
    }
}
