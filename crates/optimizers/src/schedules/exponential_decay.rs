//! Exponential decay of the learning rate.

use super::{Schedule, count, require};
use sconce_core::Result;
use serde::{Deserialize, Serialize};

/// `initial_learning_rate * decay_rate ^ (step / decay_steps)`; with `staircase` the exponent is
/// rounded down.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExponentialDecay {
    /// The rate of the first step.
    pub initial_learning_rate: f64,
    /// Steps after which the rate is multiplied by `decay_rate`.
    #[serde(serialize_with = "count")]
    pub decay_steps: f64,
    /// The factor.
    pub decay_rate: f64,
    /// Whether the rate changes only every `decay_steps` steps.
    #[serde(default)]
    pub staircase: bool,
    /// Name in Keras.
    #[serde(default = "name")]
    pub name: Option<String>,
}

fn name() -> Option<String> {
    Some("ExponentialDecay".to_string())
}

impl ExponentialDecay {
    /// From this rate, multiplied by `decay_rate` every `decay_steps` steps.
    pub fn new(initial_learning_rate: f64, decay_steps: u64, decay_rate: f64) -> Self {
        let (decay_steps, staircase) = (decay_steps as f64, false);
        Self { initial_learning_rate, decay_steps, decay_rate, staircase, name: name() }
    }

    /// Changes the rate only every `decay_steps` steps.
    pub fn staircase(mut self, staircase: bool) -> Self {
        self.staircase = staircase;
        self
    }
}

impl Schedule for ExponentialDecay {
    fn at(&self, step: u64) -> f64 {
        let exponent = step as f64 / self.decay_steps;
        let exponent = if self.staircase { exponent.floor() } else { exponent };
        self.initial_learning_rate * self.decay_rate.powf(exponent)
    }

    fn check(&self) -> Result<()> {
        require("initial_learning_rate", self.initial_learning_rate, false)?;
        require("decay_steps", self.decay_steps, true)?;
        require("decay_rate", self.decay_rate, false)
    }
}
