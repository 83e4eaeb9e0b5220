//! The arguments that all of Keras's optimizers share.

use super::WeightInfo;
use crate::schedules::LearningRate;
use regex::Regex;
use sconce_core::{Config, ConfigValue, Error, Json, Result};

/// Learning rate, clipping, decay, averages and accumulation. Defaults as in Keras.
///
/// The two norms differ: `clipnorm` scales each weight's gradient by that weight's own norm;
/// `global_clipnorm` scales all gradients by the norm of all together, as PyTorch's
/// `clip_grad_norm_` does.
#[derive(Clone, Debug, Config)]
#[config(new(name, learning_rate))]
pub struct Common {
    /// The optimizer's name, in which its variables' paths begin; `null`: its class in snake case.
    pub name: Option<String>,
    /// A number or a schedule; each optimizer has its own default.
    #[config(range = "[0, inf)")]
    pub learning_rate: LearningRate,
    /// Each update subtracts `learning_rate * weight_decay * weight`.
    #[config(range = "[0, inf)")]
    pub weight_decay: Option<f64>,
    /// Largest norm of each weight's gradient.
    #[config(range = "[0, inf)")]
    pub clipnorm: Option<f64>,
    /// Largest norm of all gradients together.
    #[config(range = "[0, inf)")]
    pub global_clipnorm: Option<f64>,
    /// Largest magnitude of each element of a gradient.
    #[config(range = "[0, inf)")]
    pub clipvalue: Option<f64>,
    /// Whether to keep an exponential moving average of the weights.
    #[config(default = false)]
    pub use_ema: bool,
    /// Retention of the average.
    #[config(default = 0.99, range = "[0, 1]")]
    pub ema_momentum: f64,
    /// The weights are overwritten with their average every so many updates, and always at the end of
    /// training.
    #[config(range = "[1, inf)")]
    pub ema_overwrite_frequency: Option<u64>,
    /// The loss is multiplied by it before the backward pass, gradients are divided by it.
    #[config(range = "(0, inf)")]
    pub loss_scale_factor: Option<f64>,
    /// Batches whose gradients are averaged into one update, at least 2.
    #[config(range = "[2, inf)")]
    pub gradient_accumulation_steps: Option<u64>,
    /// Regular expressions: weights whose name they are found in do not decay. Files do not keep them, as in Keras.
    #[config(skip)]
    pub exclude_from_weight_decay: Vec<String>,
}

impl Common {
    /// Whether a weight is excluded from weight decay.
    pub(super) fn excludes(&self, weight: &WeightInfo<'_>) -> bool {
        let name = weight.path.rsplit('/').next().unwrap_or_default();
        self.exclude_from_weight_decay.iter().any(|pattern| {
            let text = if pattern.contains('/') { weight.path } else { name };
            Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
        })
    }

    /// Refuses arguments that do not fit together.
    pub(super) fn check(&self) -> Result<()> {
        self.learning_rate.check().map_err(|e| e.under("learning_rate"))?;
        for pattern in &self.exclude_from_weight_decay {
            Regex::new(pattern)
                .map_err(|error| Error::config("exclude_from_weight_decay", error.to_string()))?;
        }
        let clips = [
            ("clipnorm", self.clipnorm),
            ("global_clipnorm", self.global_clipnorm),
            ("clipvalue", self.clipvalue),
        ];
        let given: Vec<&str> = clips.iter().filter(|c| c.1.is_some()).map(|c| c.0).collect();
        match given.as_slice() {
            [_, .., last] => {
                let given = given.join(" and ");
                let message = format!("only one kind of clipping can be used, got {given}");
                Err(Error::config(*last, message))
            }
            _ => Ok(()),
        }
    }
}

/// Builder methods that every optimizer has.
pub trait OptimizerExt: AsMut<Common> + Sized {
    /// Sets the name, in which the paths of the optimizer's variables begin.
    fn name(mut self, name: impl Into<String>) -> Self {
        self.as_mut().name = Some(name.into());
        self
    }

    /// Scales each weight's gradient down to this norm.
    fn clipnorm(mut self, norm: f64) -> Self {
        self.as_mut().clipnorm = Some(norm);
        self
    }

    /// Scales all gradients together down to this norm.
    fn global_clipnorm(mut self, norm: f64) -> Self {
        self.as_mut().global_clipnorm = Some(norm);
        self
    }

    /// Clips each element of a gradient to this magnitude.
    fn clipvalue(mut self, value: f64) -> Self {
        self.as_mut().clipvalue = Some(value);
        self
    }

    /// Subtracts `learning_rate * weight_decay * weight` at each update.
    fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.as_mut().weight_decay = Some(weight_decay);
        self
    }

    /// Excludes weights from weight decay: those whose name (`bias`) one of these regular expressions is
    /// found in, or whose path (`dense_1/bias`) for an expression with a `/`. Keras's
    /// `exclude_from_weight_decay(var_names=..)`.
    fn exclude_from_weight_decay<S: Into<String>>(
        mut self,
        var_names: impl IntoIterator<Item = S>,
    ) -> Self {
        self.as_mut().exclude_from_weight_decay = var_names.into_iter().map(Into::into).collect();
        self
    }

    /// Keeps an exponential moving average of the weights, with this retention.
    fn use_ema(mut self, momentum: f64) -> Self {
        self.as_mut().use_ema = true;
        self.as_mut().ema_momentum = momentum;
        self
    }

    /// Overwrites the weights with their average every so many updates.
    fn ema_overwrite_frequency(mut self, updates: u64) -> Self {
        self.as_mut().ema_overwrite_frequency = Some(updates);
        self
    }

    /// Multiplies the loss before the backward pass; gradients are divided by it.
    fn loss_scale_factor(mut self, factor: f64) -> Self {
        self.as_mut().loss_scale_factor = Some(factor);
        self
    }

    /// Averages the gradients of this many batches into one update.
    fn gradient_accumulation_steps(mut self, steps: u64) -> Self {
        self.as_mut().gradient_accumulation_steps = Some(steps);
        self
    }
}

impl<T: AsMut<Common>> OptimizerExt for T {}

/// The arguments of an optimizer that holds others: in its configuration stands the name only.
pub(super) mod only_name {
    use super::{Common, ConfigValue, Json, Result};
    use sconce_core::schema::Definitions;

    pub fn from_json(value: &Json) -> Result<Common> {
        let mut common = Common::new("", 0.0);
        common.name = Option::from_json(value)?;
        Ok(common)
    }

    pub fn to_json(common: &Common) -> Result<Json> {
        common.name.to_json()
    }

    pub fn schema(definitions: &mut Definitions) -> Json {
        Option::<String>::schema(definitions)
    }
}
