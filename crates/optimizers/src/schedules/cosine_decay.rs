//! Cosine decay of the learning rate, with a linear warm-up if asked for.

use super::{Schedule, count, require};
use sconce_core::Result;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// `rate * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)` up to `decay_steps`, then
/// `rate * alpha`. With a `warmup_target`, the rate first goes in a line from
/// `initial_learning_rate` to the target in `warmup_steps` steps, and decays from there; without,
/// it decays from `initial_learning_rate` at once.
///
/// Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017; warm-up:
/// Goyal et al., "Accurate, large minibatch SGD", 2017.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineDecay {
    /// The rate of the first step.
    pub initial_learning_rate: f64,
    /// Steps of the decay, after the warm-up.
    #[serde(serialize_with = "count")]
    pub decay_steps: f64,
    /// The part of the rate that is left at the end.
    #[serde(default)]
    pub alpha: f64,
    /// Name in Keras.
    #[serde(default = "name")]
    pub name: Option<String>,
    /// The rate at the end of the warm-up; left out, there is none.
    #[serde(default)]
    pub warmup_target: Option<f64>,
    /// Steps of the warm-up.
    #[serde(default, serialize_with = "count")]
    pub warmup_steps: f64,
}

fn name() -> Option<String> {
    Some("CosineDecay".to_string())
}

impl CosineDecay {
    /// From this rate to 0 in `decay_steps` steps.
    pub fn new(initial_learning_rate: f64, decay_steps: u64) -> Self {
        Self {
            initial_learning_rate,
            decay_steps: decay_steps as f64,
            alpha: 0.0,
            name: name(),
            warmup_target: None,
            warmup_steps: 0.0,
        }
    }

    /// Leaves this part of the rate at the end.
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Starts with a line from the initial rate to `target` in `steps` steps.
    pub fn warmup(mut self, target: f64, steps: u64) -> Self {
        (self.warmup_target, self.warmup_steps) = (Some(target), steps as f64);
        self
    }
}

impl Schedule for CosineDecay {
    fn at(&self, step: u64) -> f64 {
        let (start, step) = (self.initial_learning_rate, step as f64);
        let (top, step) = match self.warmup_target {
            None => (start, step),
            Some(target) if step < self.warmup_steps => {
                return start + (target - start) * (step / self.warmup_steps);
            }
            Some(target) => (target, step - self.warmup_steps),
        };
        let cosine = 0.5 * (1.0 + (PI * (step / self.decay_steps).min(1.0)).cos());
        top * ((1.0 - self.alpha) * cosine + self.alpha)
    }

    fn check(&self) -> Result<()> {
        require("initial_learning_rate", self.initial_learning_rate, false)?;
        require("decay_steps", self.decay_steps, true)?;
        require("alpha", self.alpha, false)?;
        require("warmup_target", self.warmup_target.unwrap_or(0.0), false)?;
        require("warmup_steps", self.warmup_steps, false)
    }
}
