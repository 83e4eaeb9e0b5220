//! Adagrad: gradients scaled by the sum of their squares.

use super::target::elementwise;
use super::{Common, Initial, Slot, Step, Target, UpdateRule, WeightInfo};
use sconce_core::{Config, Result};
use sconce_ops::number::Number;

/// `a += g^2`, `w -= rate g / sqrt(a + epsilon)`. Keras's default learning rate is 0.001; the paper's is 1.
///
/// Duchi et al., "Adaptive subgradient methods for online learning and stochastic optimization", 2011.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct Adagrad {
    /// The arguments that all optimizers share. Default learning rate 0.001.
    #[config(flatten, default = Common::new("adagrad", 0.001))]
    pub common: Common,
    /// First value of the sums.
    #[config(default = 0.1, range = "[0, inf)")]
    pub initial_accumulator_value: f64,
    /// Added under the root.
    #[config(default = 1e-7, range = "[0, inf)")]
    pub epsilon: f64,
}

impl UpdateRule for Adagrad {
    fn common(&self) -> &Common {
        &self.common
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        let first = Initial::Value(self.initial_accumulator_value);
        vec![Slot::like("accumulator", weight).initial(first)]
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let [a] = target.slots else { return Ok(()) };
        let (rate, epsilon) = (step.rate, self.epsilon);
        elementwise!(target, [a], |w, g, [a]| {
            let a = a + g * g;
            (w - g * rate / (a + epsilon).sqrt(), [a])
        })
    }

    fn fused(&self) -> bool {
        true
    }

    fn leaves_without_gradient(&self) -> bool {
        // Else 0 would be divided by 0.
        self.epsilon as f32 > 0.0 || self.initial_accumulator_value as f32 > 0.0
    }
}
