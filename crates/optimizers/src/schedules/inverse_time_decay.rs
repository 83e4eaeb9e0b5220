//! Decay of the learning rate with the inverse of time.

use super::{Schedule, Steps};
use sconce_core::Config;

/// `initial_learning_rate / (1 + decay_rate * step / decay_steps)`; with `staircase` the quotient
/// `step / decay_steps` is rounded down.
#[derive(Clone, Debug, Config)]
pub struct InverseTimeDecay {
    /// The rate of the first step.
    #[config(range = "[0, inf)")]
    pub initial_learning_rate: f64,
    /// Steps after which the denominator has grown by `decay_rate`.
    #[config(range = "(0, inf)")]
    pub decay_steps: Steps,
    /// Growth of the denominator.
    #[config(range = "[0, inf)")]
    pub decay_rate: f64,
    /// Whether the rate changes only every `decay_steps` steps.
    #[config(default = false)]
    pub staircase: bool,
    /// Name in Keras.
    #[config(default = "InverseTimeDecay")]
    pub name: Option<String>,
}

impl Schedule for InverseTimeDecay {
    fn at(&self, step: u64) -> f64 {
        let passed = step as f64 / self.decay_steps.0;
        let passed = if self.staircase { passed.floor() } else { passed };
        self.initial_learning_rate / (1.0 + self.decay_rate * passed)
    }
}
