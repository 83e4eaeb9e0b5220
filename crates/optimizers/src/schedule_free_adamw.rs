//! ScheduleFreeAdamW: AdamW whose weights are an average of the steps so far.

use super::target::elementwise;
use super::{Common, Initial, Slot, Step, Target, UpdateRule, WeightInfo};
use sconce_core::{Config, Result};
use sconce_ops::number::Number;

/// `v += (g^2 - v)(1 - beta_2)`, `z -= rate g / (sqrt(v / (1 - beta_2^t)) + epsilon)`; of the averages
/// `x = (1 - 1/t) x + z/t` and the steps z the weights are `w = (1 - beta_1) z + beta_1 x`. x is not kept: it follows from
/// w and z. In the first `warmup_steps` updates the rate rises in a line. Keras's defaults: learning rate 0.0025,
/// no weight decay.
///
/// As in Keras, evaluation uses w too, not x.
///
/// Defazio et al., "The road less scheduled", 2024.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct ScheduleFreeAdamW {
    /// The arguments that all optimizers share. Default learning rate 0.0025.
    #[config(flatten, default = Common::new("schedule_free_adam_w", 0.0025))]
    pub common: Common,
    /// Part of the average in the weights, above 0.
    #[config(default = 0.9, range = "(0, 1]")]
    pub beta_1: f64,
    /// Retention of the second moment.
    #[config(default = 0.999, range = "[0, 1)")]
    pub beta_2: f64,
    /// Added to the denominator.
    #[config(default = 1e-8, range = "[0, inf)")]
    pub epsilon: f64,
    /// Updates in which the learning rate rises to its value.
    #[config(default = 0)]
    pub warmup_steps: u64,
}

impl UpdateRule for ScheduleFreeAdamW {
    fn common(&self) -> &Common {
        &self.common
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        vec![
            Slot::like("momentum", weight).initial(Initial::WeightCopy),
            Slot::like("velocity", weight),
        ]
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let [z, v] = target.slots else { return Ok(()) };
        let (beta_1, beta_2, epsilon) = (self.beta_1, self.beta_2, self.epsilon);
        let t = step.iteration as f64;
        let rate = match self.warmup_steps {
            0 => step.rate,
            steps => step.rate * (t / steps as f64).min(1.0),
        };
        let correction = 1.0 - beta_2.powf(t);
        let part = 1.0 / t;
        elementwise!(target, [z, v], |w, g, [z, v]| {
            let v = v + (g * g - v) * (1.0 - beta_2);
            let x = (w - z * (1.0 - beta_1)) / beta_1;
            let z = z - g * rate / ((v / correction).sqrt() + epsilon);
            let x = x * (1.0 - part) + z * part;
            (z * (1.0 - beta_1) + x * beta_1, [z, v])
        })
    }

    fn fused(&self) -> bool {
        true
    }
}
