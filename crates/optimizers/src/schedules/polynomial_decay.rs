//! Polynomial decay of the learning rate.

use super::{Schedule, Steps};
use sconce_core::Config;

/// `(initial_learning_rate - end_learning_rate) * (1 - step / decay_steps) ^ power + end_learning_rate` up to
/// `decay_steps`, then `end_learning_rate`. With `cycle`, `decay_steps` is multiplied by the least whole number
/// that makes it as large as the step, so that the rate rises again.
#[derive(Clone, Debug, Config)]
pub struct PolynomialDecay {
    /// The rate of the first step.
    #[config(range = "[0, inf)")]
    pub initial_learning_rate: f64,
    /// Steps of the decay.
    #[config(range = "(0, inf)")]
    pub decay_steps: Steps,
    /// The rate at the end.
    #[config(default = 0.0001, range = "[0, inf)")]
    pub end_learning_rate: f64,
    /// The exponent; 1 decays in a line.
    #[config(default = 1.0, range = "[0, inf)")]
    pub power: f64,
    /// Whether to start again, lower, at the end.
    #[config(default = false)]
    pub cycle: bool,
    /// Name in Keras.
    #[config(default = "PolynomialDecay")]
    pub name: Option<String>,
}

impl Schedule for PolynomialDecay {
    fn at(&self, step: u64) -> f64 {
        let (step, Steps(decay_steps)) = (step as f64, self.decay_steps);
        let passed = match self.cycle {
            true => step / (decay_steps * (step / decay_steps).ceil().max(1.0)),
            false => (step / decay_steps).min(1.0),
        };
        let (start, end) = (self.initial_learning_rate, self.end_learning_rate);
        (start - end) * (1.0 - passed).powf(self.power) + end
    }
}
