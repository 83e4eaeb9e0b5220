//! FTRL: follow the regularized leader.

use super::target::elementwise;
use super::{Common, Initial, Slot, Step, Target, UpdateRule, WeightInfo};
use sconce_core::{Config, Result};
use sconce_ops::number::{Mask, Number};

/// With `p = -learning_rate_power` and `n` the sum of squared gradients:
/// `z += g + 2 l2_shrinkage_regularization_strength w - (n_new^p - n_old^p) / rate w`,
/// `w = (clip(z, -l1, l1) - z) / (n_new^p / rate + 2 l2 + beta / rate)`. Weights whose z is within `l1` become 0. A
/// weight whose denominator is 0 (it had no gradient yet) stays. Keras's default learning rate is 0.001.
///
/// McMahan et al., "Ad click prediction: a view from the trenches", 2013.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct Ftrl {
    /// The arguments that all optimizers share. Default learning rate 0.001.
    #[config(flatten, default = Common::new("ftrl", 0.001))]
    pub common: Common,
    /// At most 0; -0.5 lets the rate fall with the root of the sum of squares, 0 keeps it.
    #[config(default = -0.5, range = "(-inf, 0]")]
    pub learning_rate_power: f64,
    /// First value of the sums of squares.
    #[config(default = 0.1, range = "[0, inf)")]
    pub initial_accumulator_value: f64,
    /// Strength of L1.
    #[config(default = 0.0, range = "[0, inf)")]
    pub l1_regularization_strength: f64,
    /// Strength of L2, which keeps the solution stable.
    #[config(default = 0.0, range = "[0, inf)")]
    pub l2_regularization_strength: f64,
    /// Strength of an L2 penalty on the weights, added to the gradient only where it enters `z`.
    #[config(default = 0.0, range = "[0, inf)")]
    pub l2_shrinkage_regularization_strength: f64,
    /// The paper's beta.
    #[config(default = 0.0, range = "(-inf, inf)")]
    pub beta: f64,
}

impl UpdateRule for Ftrl {
    fn common(&self) -> &Common {
        &self.common
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        let first = Initial::Value(self.initial_accumulator_value);
        vec![Slot::like("accumulator", weight).initial(first), Slot::like("linear", weight)]
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let [n, z] = target.slots else { return Ok(()) };
        let (rate, power) = (step.rate, -self.learning_rate_power);
        let l1 = self.l1_regularization_strength;
        let l2 = self.l2_regularization_strength + self.beta / (2.0 * rate);
        let shrinkage = self.l2_shrinkage_regularization_strength;
        elementwise!(target, [n, z], |w, g, [n, z]| {
            let new = n + g * g;
            let (before, after) = (n.powf(power), new.powf(power));
            let z = z + (g + w * (2.0 * shrinkage) - (after - before) / rate * w);
            let quadratic = after / rate + 2.0 * l2;
            let solved = (z.max(-l1).min(l1) - z) / quadratic;
            (quadratic.eq(0.0).select(w, solved), [new, z])
        })
    }

    fn fused(&self) -> bool {
        true
    }
}
