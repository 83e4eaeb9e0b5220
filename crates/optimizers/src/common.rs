//! The arguments that all of Keras's optimizers share.

use super::{Optimizer, Optimizers, RuleConfig, UpdateRule, require_non_negative, require_part};
use crate::schedules::LearningRate;
use sconce_core::json::parse;
use sconce_core::names::snake_case;
use sconce_core::registry::{Member, object, with_shared_keys};
use sconce_core::{Error, Json, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::sync::Arc;

/// Learning rate, clipping, decay, averages and accumulation. Defaults as in Keras.
///
/// The two norms differ: `clipnorm` scales each weight's gradient by that weight's own norm;
/// `global_clipnorm` scales all gradients by the norm of all together, as PyTorch's
/// `clip_grad_norm_` does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Common {
    /// The optimizer's name; left out, its class in snake case.
    pub name: Option<String>,
    /// A number or a schedule; each optimizer has its own default.
    pub learning_rate: LearningRate,
    /// Each update subtracts `learning_rate * weight_decay * weight`.
    pub weight_decay: Option<f64>,
    /// Largest norm of each weight's gradient.
    pub clipnorm: Option<f64>,
    /// Largest norm of all gradients together.
    pub global_clipnorm: Option<f64>,
    /// Largest magnitude of each element of a gradient.
    pub clipvalue: Option<f64>,
    /// Whether to keep an exponential moving average of the weights.
    pub use_ema: bool,
    /// Retention of the average.
    pub ema_momentum: f64,
    /// The weights are overwritten with their average every so many updates, and always at the end of
    /// training.
    pub ema_overwrite_frequency: Option<u64>,
    /// The loss is multiplied by it before the backward pass, gradients are divided by it.
    pub loss_scale_factor: Option<f64>,
    /// Batches whose gradients are averaged into one update.
    pub gradient_accumulation_steps: Option<u64>,
}

impl Common {
    /// With a learning rate.
    pub fn with_rate(learning_rate: impl Into<LearningRate>) -> Self {
        Self {
            name: None,
            learning_rate: learning_rate.into(),
            weight_decay: None,
            clipnorm: None,
            global_clipnorm: None,
            clipvalue: None,
            use_ema: false,
            ema_momentum: 0.99,
            ema_overwrite_frequency: None,
            loss_scale_factor: None,
            gradient_accumulation_steps: None,
        }
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
        self.learning_rate.check().map_err(|e| e.under("learning_rate"))?;
        for (key, value) in clips.into_iter().chain([("weight_decay", self.weight_decay)]) {
            value.map_or(Ok(()), |value| require_non_negative(key, value))?;
        }
        if let Some(factor) = self.loss_scale_factor
            && !(factor > 0.0 && factor.is_finite())
        {
            let message = format!("must be a finite number above 0, found {factor}");
            return Err(Error::config("loss_scale_factor", message));
        }
        require_part("ema_momentum", self.ema_momentum, false)?;
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

    /// Clips each element of a gradient to this magnitude.
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

    /// Overwrites the weights with their average every so many updates.
    fn ema_overwrite_frequency(mut self, updates: u64) -> Self {
        self.common_mut().ema_overwrite_frequency = Some(updates);
        self
    }

    /// Multiplies the loss before the backward pass; gradients are divided by it.
    fn loss_scale_factor(mut self, factor: f64) -> Self {
        self.common_mut().loss_scale_factor = Some(factor);
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
fn build<R: RuleConfig + DeserializeOwned>(config: Json) -> Result<R> {
    let mut own = object(config, "an optimizer's `config`")?;
    let mut common = object(written(&parse::<R>(Json::Object(Map::new()))?.common())?, "")?;
    for (key, default) in &mut common {
        if let Some(value) = own.shift_remove(key) {
            *default = value;
        }
    }
    let shared: Vec<&str> = common.keys().map(String::as_str).collect();
    let mut rule: R = parse(Json::Object(own)).map_err(|error| with_shared_keys(error, &shared))?;
    let mut common: Common = parse(Json::Object(common))?;
    common.name.get_or_insert_with(|| snake_case(R::CLASS_NAME));
    common.check()?;
    *rule.common_mut() = common;
    rule.check()?;
    Ok(rule)
}

/// A rule with its complete configuration.
pub(super) fn read<R>(config: &Map<String, Json>) -> Result<Member<Optimizers>>
where
    R: RuleConfig + Serialize + DeserializeOwned + 'static,
{
    let rule = build::<R>(Json::Object(config.clone()))?;
    let config = complete_of(&rule)?;
    let rule: Arc<dyn UpdateRule> = Arc::new(rule);
    Member::of(rule, config)
}

/// Common keys, then the rule's own, as Keras orders them.
fn complete_of<R: RuleConfig + Serialize>(rule: &R) -> Result<Json> {
    let mut out = object(written(rule.common())?, "an optimizer")?;
    out.extend(object(written(rule)?, "an optimizer")?);
    Ok(Json::Object(out))
}

fn written(value: &impl Serialize) -> Result<Json> {
    serde_json::to_value(value).map_err(|e| Error::config("", e.to_string()))
}

/// A configured rule as `compile` takes it. Arguments that do not fit together are reported there.
pub(super) fn part<R: RuleConfig + Serialize + 'static>(mut rule: R) -> Optimizer {
    rule.common_mut().name.get_or_insert_with(|| snake_case(R::CLASS_NAME));
    // Checked first: JSON has no word for numbers that are not finite.
    let checked = rule.common().check().and_then(|()| rule.check());
    match checked.and_then(|()| complete_of(&rule)) {
        Ok(config) => Optimizer::known(R::CLASS_NAME, config, Arc::new(rule)),
        Err(error) => Optimizer::invalid(R::CLASS_NAME, error.under("config")),
    }
}
