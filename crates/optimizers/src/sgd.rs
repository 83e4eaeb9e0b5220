//! SGD: stochastic gradient descent, with momentum.

use super::target::elementwise;
use super::{Common, Slot, Step, Target, UpdateRule, WeightInfo};
use sconce_core::{Config, Result};

/// Without momentum `w -= rate g`. With it `v = momentum v - rate g`, then `w += v`, or, with
/// `nesterov`, `w += momentum v - rate g`. Keras's default learning rate is 0.01.
///
/// Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct SGD {
    /// The arguments that all optimizers share. Default learning rate 0.01.
    #[config(flatten, default = Common::new("sgd", 0.01))]
    pub common: Common,
    /// Retention of the velocity, in 0..1.
    #[config(default = 0.0, range = "[0, 1]")]
    pub momentum: f64,
    /// Whether to apply Nesterov momentum.
    #[config(default = false)]
    pub nesterov: bool,
}

impl UpdateRule for SGD {
    fn common(&self) -> &Common {
        &self.common
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        if self.momentum == 0.0 { Vec::new() } else { vec![Slot::like("momentum", weight)] }
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let (rate, momentum, nesterov) = (step.rate, self.momentum, self.nesterov);
        match target.slots {
            [] => elementwise!(target, [], |w, g, []| (w - g * rate, [])),
            [v, ..] => elementwise!(target, [v], |w, g, [v]| {
                let change = g * rate;
                let v = v * momentum - change;
                (if nesterov { w + (v * momentum - change) } else { w + v }, [v])
            }),
        }
    }

    fn fused(&self) -> bool {
        true
    }

    fn leaves_without_gradient(&self) -> bool {
        self.momentum == 0.0
    }
}
