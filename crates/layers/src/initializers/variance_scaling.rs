use super::{draw, fans};
use crate::seed;
use sconce_core::{Config, ConfigValue, Initializer, Result, Stream};

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
#[derive(Clone, Debug, PartialEq, Config)]
#[config(new(scale, mode, distribution))]
pub struct VarianceScaling {
    /// Seed of its own; `None`: the model's seed and the weight's path decide.
    #[config(with = seed)]
    pub seed: Option<u64>,
    /// Factor of the variance, above 0. Default 1.
    #[config(default = 1.0, range = "(0, inf)")]
    pub scale: f64,
    /// Which fan `n` is. Default `fan_in`.
    #[config(default)]
    pub mode: Mode,
    /// Shape of the distribution. Default `truncated_normal`.
    #[config(default)]
    pub distribution: Distribution,
    /// Axes that count as inputs, where the shape does not tell; used if `output_axes` is given too.
    pub input_axes: Option<Vec<i64>>,
    /// Axes that count as outputs.
    pub output_axes: Option<Vec<i64>>,
}

/// The fan that [`VarianceScaling`] divides by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum Distribution {
    /// Normal, cut at two standard deviations; also read from `"normal"`.
    #[default]
    #[config(alias = "normal")]
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
    /// Uniform.
    Uniform,
}

impl Initializer for VarianceScaling {
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
