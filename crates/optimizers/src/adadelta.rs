//! Adadelta: gradients scaled by two running means, without a rate that decays.

use super::target::elementwise;
use super::{Common, Slot, Step, Target, UpdateRule, WeightInfo};
use sconce_core::{Config, Result};
use sconce_ops::number::Number;

/// `a = rho a + (1 - rho) g^2`, `d = sqrt(x + epsilon) / sqrt(a + epsilon) g`,
/// `x = rho x + (1 - rho) d^2`, `w -= rate d`. Keras's default learning rate is 0.001; the paper has none,
/// which is 1.
///
/// Zeiler, "ADADELTA: an adaptive learning rate method", 2012.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct Adadelta {
    /// The arguments that all optimizers share. Default learning rate 0.001.
    #[config(flatten, default = Common::new("adadelta", 0.001))]
    pub common: Common,
    /// Retention of both means.
    #[config(default = 0.95, range = "[0, 1]")]
    pub rho: f64,
    /// Added under both roots.
    #[config(default = 1e-7, range = "[0, inf)")]
    pub epsilon: f64,
}

impl UpdateRule for Adadelta {
    fn common(&self) -> &Common {
        &self.common
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        vec![Slot::like("accumulated_grad", weight), Slot::like("accumulated_delta_var", weight)]
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let [a, x] = target.slots else { return Ok(()) };
        let (rate, rho, epsilon) = (step.rate, self.rho, self.epsilon);
        elementwise!(target, [a, x], |w, g, [a, x]| {
            let a = a * rho + g * g * (1.0 - rho);
            let d = (x + epsilon).sqrt() * g / (a + epsilon).sqrt();
            (w - d * rate, [a, x * rho + d * d * (1.0 - rho)])
        })
    }

    fn fused(&self) -> bool {
        true
    }
}
