//! The arguments that all of Keras's optimizers share.

use super::{Optimizer, RuleConfig};
use crate::schedules::LearningRate;
use sconce_core::registry::object;
use sconce_core::{Error, Json, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Learning rate, clipping, decay, averages and accumulation. Defaults as in Keras.
///
/// The two norms differ: `clipnorm` scales each weight's gradient by that weight's own norm;
/// `global_clipnorm` scales all gradients by the norm of all together, as PyTorch's
/// `clip_grad_norm_` does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Common {
    /// The optimizer's name.
    #[serde(default)]
    pub name: Option<String>,
    /// A number or a schedule; left out, the optimizer's own default.
    #[serde(default)]
    pub learning_rate: Option<LearningRate>,
    /// Each update subtracts `learning_rate * weight_decay * weight`.
    #[serde(default)]
    pub weight_decay: Option<f64>,
    /// Largest norm of each weight's gradient.
    #[serde(default)]
    pub clipnorm: Option<f64>,
    /// Largest norm of all gradients together.
    #[serde(default)]
    pub global_clipnorm: Option<f64>,
    /// Largest magnitude of each element of a gradient.
    #[serde(default)]
    pub clipvalue: Option<f64>,
    /// Whether to keep an exponential moving average of the weights.
    #[serde(default)]
    pub use_ema: bool,
    /// Retention of the average.
    #[serde(default = "ema_momentum")]
    pub ema_momentum: f64,
    /// Every so many updates the weights become their average; left out: at the end of training.
    #[serde(default)]
    pub ema_overwrite_frequency: Option<u64>,
    /// Gradients are divided by it, if the loss was multiplied by it.
    #[serde(default)]
    pub loss_scale_factor: Option<f64>,
    /// Batches whose gradients are averaged into one update.
    #[serde(default)]
    pub gradient_accumulation_steps: Option<u64>,
}

fn ema_momentum() -> f64 {
    0.99
}

impl Default for Common {
    fn default() -> Self {
        Self {
            name: None,
            learning_rate: None,
            weight_decay: None,
            clipnorm: None,
            global_clipnorm: None,
            clipvalue: None,
            use_ema: false,
            ema_momentum: ema_momentum(),
            ema_overwrite_frequency: None,
            loss_scale_factor: None,
            gradient_accumulation_steps: None,
        }
    }
}

impl Common {
    /// With a learning rate.
    pub fn with_rate(learning_rate: impl Into<LearningRate>) -> Self {
        Self { learning_rate: Some(learning_rate.into()), ..Self::default() }
    }

    /// The learning rate, or the optimizer's default.
    pub fn rate(&self, default: f64) -> LearningRate {
        self.learning_rate.clone().unwrap_or_else(|| default.into())
    }

    fn check(&self) -> Result<()> {
        let clips = [
            ("clipnorm", self.clipnorm),
            ("global_clipnorm", self.global_clipnorm),
            ("clipvalue", self.clipvalue),
        ];
        let given: Vec<&str> = clips.iter().filter(|c| c.1.is_some()).map(|c| c.0).collect();
        if given.len() > 1 {
            return Err(Error::config(
                given.last().copied().unwrap_or_default(),
                format!("only one kind of clipping can be used, got {}", given.join(" and ")),
            ));
        }
        let positive =
            [("weight_decay", self.weight_decay), ("loss_scale_factor", self.loss_scale_factor)];
        for (name, value) in clips.into_iter().chain(positive) {
            if value.is_some_and(|v| v.is_nan() || v < 0.0) {
                return Err(Error::config(name, format!("must be at least 0, got {value:?}")));
            }
        }
        if self.use_ema && !(0.0..=1.0).contains(&self.ema_momentum) {
            return Err(Error::config(
                "ema_momentum",
                format!("must be in 0..1, got {}", self.ema_momentum),
            ));
        }
        if self.ema_overwrite_frequency == Some(0) {
            return Err(Error::config("ema_overwrite_frequency", "must be at least 1, got 0"));
        }
        match self.gradient_accumulation_steps {
            Some(steps @ 0..=1) => Err(Error::config(
                "gradient_accumulation_steps",
                format!("must be at least 2 (or left out), got {steps}"),
            )),
            _ => Ok(()),
        }
    }
}

const KEYS: [&str; 11] = [
    "name",
    "learning_rate",
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
];

/// Builder methods that every optimizer has.
pub trait OptimizerExt: RuleConfig + Sized {
    /// Scales each weight's gradient down to this norm.
    fn clipnorm(mut self, norm: f64) -> Self {
        self.common_mut().clipnorm = Some(norm);
        self
    }

    /// Scales all gradients together down to this norm.
    fn global_clipnorm(mut self, norm: f64) -> Self {
        self.common_mut().global_clipnorm = Some(norm);
        self
    }

    /// Cuts each element of a gradient to this magnitude.
    fn clipvalue(mut self, value: f64) -> Self {
        self.common_mut().clipvalue = Some(value);
        self
    }

    /// Subtracts `learning_rate * weight_decay * weight` at each update.
    fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.common_mut().weight_decay = Some(weight_decay);
        self
    }

    /// Keeps an exponential moving average of the weights, with this retention.
    fn use_ema(mut self, momentum: f64) -> Self {
        self.common_mut().use_ema = true;
        self.common_mut().ema_momentum = momentum;
        self
    }

    /// Replaces the weights by their average every so many updates.
    fn ema_overwrite_frequency(mut self, updates: u64) -> Self {
        self.common_mut().ema_overwrite_frequency = Some(updates);
        self
    }

    /// Averages the gradients of this many batches into one update.
    fn gradient_accumulation_steps(mut self, steps: u64) -> Self {
        self.common_mut().gradient_accumulation_steps = Some(steps);
        self
    }
}

impl<R: RuleConfig> OptimizerExt for R {}

/// Reads a rule from its configuration: the common arguments first, then its own, each strictly.
pub(super) fn build<R: RuleConfig + DeserializeOwned>(config: Json) -> Result<R> {
    let mut own = object(config, "an optimizer's `config`")?;
    let mut common = serde_json::Map::new();
    for key in KEYS {
        if let Some(value) = own.shift_remove(key) {
            common.insert(key.to_string(), value);
        }
    }
    let mut rule: R = sconce_core::json::parse(Json::Object(own))?;
    let default_rate = rule.common().learning_rate.clone();
    let default_decay = rule.common().weight_decay;
    let decay_given = common.contains_key("weight_decay");
    let mut common: Common = sconce_core::json::parse(Json::Object(common))?;
    common.learning_rate = common.learning_rate.or(default_rate);
    if !decay_given {
        common.weight_decay = default_decay;
    }
    common.check()?;
    *rule.common_mut() = common;
    rule.check()?;
    Ok(rule)
}

/// The complete configuration from a partial one.
pub(super) fn complete<R: RuleConfig + DeserializeOwned>(config: Json) -> Result<Json> {
    build::<R>(config)?.config()
}

/// Common keys, then the rule's own, as Keras orders them.
pub(super) fn config<R: RuleConfig + Serialize>(rule: &R) -> Result<Json> {
    let write = |e: serde_json::Error| Error::config("", e.to_string());
    let mut common = rule.common().clone();
    common.name.get_or_insert_with(|| R::CLASS_NAME.to_lowercase());
    let mut out = object(serde_json::to_value(common).map_err(write)?, "an optimizer")?;
    out.extend(object(serde_json::to_value(rule).map_err(write)?, "an optimizer")?);
    Ok(Json::Object(out))
}

/// A configured rule as `compile` takes it. Arguments that do not fit together are reported there.
pub(super) fn part<R: RuleConfig + Serialize + DeserializeOwned + 'static>(rule: R) -> Optimizer {
    match config(&rule).and_then(|config| Ok((build::<R>(config.clone())?, config))) {
        Ok((checked, config)) => Optimizer::known(R::CLASS_NAME, config, Arc::new(checked)),
        Err(error) => Optimizer::invalid(R::CLASS_NAME, error),
    }
}
