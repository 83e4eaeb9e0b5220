//! Exponential decay of the learning rate.

use super::{Schedule, Steps};
use sconce_core::Config;

/// `initial_learning_rate * decay_rate ^ (step / decay_steps)`; with `staircase` the exponent is
/// rounded down.
#[derive(Clone, Debug, Config)]
pub struct ExponentialDecay {
    /// The rate of the first step.
    #[config(range = "[0, inf)")]
    pub initial_learning_rate: f64,
    /// Steps after which the rate is multiplied by `decay_rate`.
    #[config(range = "(0, inf)")]
    pub decay_steps: Steps,
    /// The factor.
    #[config(range = "[0, inf)")]
    pub decay_rate: f64,
    /// Whether the rate changes only every `decay_steps` steps.
    #[config(default = false)]
    pub staircase: bool,
    /// Name in Keras.
    #[config(default = "ExponentialDecay")]
    pub name: Option<String>,
}

impl Schedule for ExponentialDecay {
    fn at(&self, step: u64) -> f64 {
        let exponent = step as f64 / self.decay_steps.0;
        let exponent = if self.staircase { exponent.floor() } else { exponent };
        self.initial_learning_rate * self.decay_rate.powf(exponent)
    }
}
