//! Adamax: Adam with the infinity norm.

use super::target::elementwise;
use super::{Common, Slot, Step, Target, UpdateRule, WeightInfo};
use sconce_core::{Config, Result};
use sconce_ops::number::Number;

/// `m += (g - m)(1 - beta_1)`, `u = max(beta_2 u, |g|)`, `w -= rate m / ((1 - beta_1^t)(u + epsilon))`.
/// Keras's default learning rate is 0.001.
///
/// Kingma and Ba, "Adam: a method for stochastic optimization", 2014, section 7.1.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct Adamax {
    /// The arguments that all optimizers share. Default learning rate 0.001.
    #[config(flatten, default = Common::new("adamax", 0.001))]
    pub common: Common,
    /// Retention of the first moment.
    #[config(default = 0.9, range = "[0, 1)")]
    pub beta_1: f64,
    /// Retention of the norm.
    #[config(default = 0.999, range = "[0, 1]")]
    pub beta_2: f64,
    /// Added to the denominator.
    #[config(default = 1e-7, range = "[0, inf)")]
    pub epsilon: f64,
}

impl UpdateRule for Adamax {
    fn common(&self) -> &Common {
        &self.common
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        vec![Slot::like("momentum", weight), Slot::like("norm", weight)]
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let [m, u] = target.slots else { return Ok(()) };
        let (beta_1, beta_2, epsilon) = (self.beta_1, self.beta_2, self.epsilon);
        let rate = step.rate / (1.0 - beta_1.powf(step.iteration as f64));
        elementwise!(target, [m, u], |w, g, [m, u]| {
            let m = m + (g - m) * (1.0 - beta_1);
            let u = (u * beta_2).max(g.abs());
            (w - m * rate / (u + epsilon), [m, u])
        })
    }

    fn fused(&self) -> bool {
        true
    }
}
