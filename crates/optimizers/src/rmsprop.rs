//! RMSprop: gradients divided by a running root mean square of them.

use super::target::elementwise;
use super::{Common, Slot, Step, Target, UpdateRule, WeightInfo};
use sconce_core::{Config, Result};
use sconce_ops::number::Number;

/// `v = rho v + (1 - rho) g^2`, `d = rate g / sqrt(v + epsilon)`, `w -= d`; with momentum
/// `m = momentum m + d`, `w -= m`; `centered` takes `v - a^2` for v, where
/// `a = rho a + (1 - rho) g`. Keras's default learning rate is 0.001.
///
/// Hinton, "Neural networks for machine learning", lecture 6, 2012; centered: Graves, "Generating
/// sequences with recurrent neural networks", 2013.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct RMSprop {
    /// The arguments that all optimizers share. Default learning rate 0.001.
    #[config(flatten, default = Common::new("rm_sprop", 0.001))]
    pub common: Common,
    /// Retention of the mean square.
    #[config(default = 0.9, range = "[0, 1]")]
    pub rho: f64,
    /// Momentum of the updates.
    #[config(default = 0.0, range = "[0, 1]")]
    pub momentum: f64,
    /// Added under the root.
    #[config(default = 1e-7, range = "[0, inf)")]
    pub epsilon: f64,
    /// Whether gradients are normalized by their estimated variance instead of their mean square.
    #[config(default = false)]
    pub centered: bool,
}

impl UpdateRule for RMSprop {
    fn common(&self) -> &Common {
        &self.common
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        let mut slots = vec![Slot::like("velocity", weight)];
        if self.momentum > 0.0 {
            slots.push(Slot::like("momentum", weight).group(1));
        }
        if self.centered {
            slots.push(Slot::like("average_gradient", weight).group(2));
        }
        slots
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let (rate, rho, momentum, epsilon) = (step.rate, self.rho, self.momentum, self.epsilon);
        match (target.slots, self.centered) {
            ([v], _) => elementwise!(target, [v], |w, g, [v]| {
                let v = v * rho + g * g * (1.0 - rho);
                (w - g * rate / (v + epsilon).sqrt(), [v])
            }),
            ([v, m], false) => elementwise!(target, [v, m], |w, g, [v, m]| {
                let v = v * rho + g * g * (1.0 - rho);
                let m = m * momentum + g * rate / (v + epsilon).sqrt();
                (w - m, [v, m])
            }),
            ([v, a], true) => elementwise!(target, [v, a], |w, g, [v, a]| {
                let (v, a) = (v * rho + g * g * (1.0 - rho), a * rho + g * (1.0 - rho));
                (w - g * rate / (v - a * a + epsilon).sqrt(), [v, a])
            }),
            ([v, m, a], _) => elementwise!(target, [v, m, a], |w, g, [v, m, a]| {
                let (v, a) = (v * rho + g * g * (1.0 - rho), a * rho + g * (1.0 - rho));
                let m = m * momentum + g * rate / (v - a * a + epsilon).sqrt();
                (w - m, [v, m, a])
            }),
            _ => Ok(()),
        }
    }

    fn fused(&self) -> bool {
        true
    }
}
