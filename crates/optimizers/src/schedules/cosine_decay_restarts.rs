//! Cosine decay of the learning rate that starts again and again.

use super::{Schedule, Steps};
use sconce_core::Config;
use std::f64::consts::PI;

/// `initial_learning_rate * ((1 - alpha) * m_mul^i * (1 + cos(pi * part)) / 2 + alpha)`, where `part` of the period `i`
/// (from 0) has passed. The first period has `first_decay_steps` steps, each other `t_mul` times as many as the
/// one before.
///
/// With `t_mul` below 1 the periods come to an end; after it the rate is `initial_learning_rate * alpha`.
///
/// Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
#[derive(Clone, Debug, Config)]
pub struct CosineDecayRestarts {
    /// The rate of the first step.
    #[config(range = "[0, inf)")]
    pub initial_learning_rate: f64,
    /// Steps of the first period.
    #[config(range = "(0, inf)")]
    pub first_decay_steps: Steps,
    /// Factor from the length of a period to that of the next.
    #[config(default = 2.0, range = "(0, inf)")]
    pub t_mul: f64,
    /// Factor from the first rate of a period to that of the next.
    #[config(default = 1.0, range = "[0, inf)")]
    pub m_mul: f64,
    /// The part of the rate that is left at the end of a period.
    #[config(default = 0.0, range = "[0, inf)")]
    pub alpha: f64,
    /// Name in Keras.
    #[config(default = "SGDRDecay")]
    pub name: Option<String>,
}

impl CosineDecayRestarts {
    /// The number of the period, and the part of it that has passed; `None` after the last.
    fn period(&self, passed: f64) -> Option<(f64, f64)> {
        let t_mul = self.t_mul;
        if t_mul == 1.0 {
            return Some((passed.floor(), passed.fract()));
        }
        // The periods before period i are as long as this many first ones.
        let before = |i: f64| (1.0 - t_mul.powf(i)) / (1.0 - t_mul);
        let i = ((1.0 - passed * (1.0 - t_mul)).ln() / t_mul.ln()).floor();
        if !i.is_finite() {
            return None;
        }
        // Rounding of the logarithms may miss the period by one.
        let i = if before(i + 1.0) <= passed { i + 1.0 } else { i };
        let i = if before(i) > passed { i - 1.0 } else { i };
        Some((i, (passed - before(i)) / t_mul.powf(i)))
    }
}

impl Schedule for CosineDecayRestarts {
    fn at(&self, step: u64) -> f64 {
        let period = self.period(step as f64 / self.first_decay_steps.0);
        let decayed =
            period.map_or(0.0, |(i, part)| 0.5 * self.m_mul.powf(i) * (1.0 + (PI * part).cos()));
        self.initial_learning_rate * ((1.0 - self.alpha) * decayed + self.alpha)
    }
}
