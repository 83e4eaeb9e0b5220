//! Cosine decay of the learning rate, with a linear warm-up if asked for.

use super::{Schedule, Steps};
use sconce_core::Config;
use std::f64::consts::PI;

/// `rate * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)` up to `decay_steps`, then
/// `rate * alpha`. With a `warmup_target`, the rate first goes in a line from
/// `initial_learning_rate` to the target in `warmup_steps` steps, and decays from there; without,
/// it decays from `initial_learning_rate` at once.
///
/// Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017; warm-up:
/// Goyal et al., "Accurate, large minibatch SGD", 2017.
#[derive(Clone, Debug, Config)]
pub struct CosineDecay {
    /// The rate of the first step.
    #[config(range = "[0, inf)")]
    pub initial_learning_rate: f64,
    /// Steps of the decay, after the warm-up.
    #[config(range = "(0, inf)")]
    pub decay_steps: Steps,
    /// The part of the rate that is left at the end.
    #[config(default = 0.0, range = "[0, inf)")]
    pub alpha: f64,
    /// Name in Keras.
    #[config(default = "CosineDecay")]
    pub name: Option<String>,
    /// The rate at the end of the warm-up; `null`: there is none.
    #[config(range = "[0, inf)")]
    pub warmup_target: Option<f64>,
    /// Steps of the warm-up.
    #[config(default = 0, range = "[0, inf)")]
    pub warmup_steps: Steps,
}

impl CosineDecay {
    /// Starts with a line from the initial rate to `target` in `steps` steps.
    pub fn warmup(mut self, target: f64, steps: u64) -> Self {
        (self.warmup_target, self.warmup_steps) = (Some(target), steps.into());
        self
    }
}

impl Schedule for CosineDecay {
    fn at(&self, step: u64) -> f64 {
        let (start, step) = (self.initial_learning_rate, step as f64);
        let (Steps(decay_steps), Steps(warmup_steps)) = (self.decay_steps, self.warmup_steps);
        let (top, step) = match self.warmup_target {
            None => (start, step),
            Some(target) if step < warmup_steps => {
                return start + (target - start) * (step / warmup_steps);
            }
            Some(target) => (target, step - warmup_steps),
        };
        let cosine = 0.5 * (1.0 + (PI * (step / decay_steps).min(1.0)).cos());
        top * ((1.0 - self.alpha) * cosine + self.alpha)
    }
}
