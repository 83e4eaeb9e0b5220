//! Lion: the sign of an interpolated momentum.

use super::target::elementwise;
use super::{Common, Slot, Step, Target, UpdateRule, WeightInfo};
use sconce_core::{Config, Result};
use sconce_ops::number::{Mask, Number};

/// `w -= rate sign(beta_1 m + (1 - beta_1) g)`, `m = beta_2 m + (1 - beta_2) g`. Keras's default learning rate
/// is 0.001; the authors advise a third to a tenth of AdamW's, and as many times its weight decay.
///
/// Chen et al., "Symbolic discovery of optimization algorithms", 2023.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct Lion {
    /// The arguments that all optimizers share. Default learning rate 0.001.
    #[config(flatten, default = Common::new("lion", 0.001))]
    pub common: Common,
    /// Part of the momentum in the update, above 0.
    #[config(default = 0.9, range = "(0, 1]")]
    pub beta_1: f64,
    /// Retention of the momentum.
    #[config(default = 0.99, range = "[0, 1]")]
    pub beta_2: f64,
}

impl UpdateRule for Lion {
    fn common(&self) -> &Common {
        &self.common
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        vec![Slot::like("momentum", weight)]
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let [m] = target.slots else { return Ok(()) };
        let (rate, beta_1, beta_2) = (step.rate, self.beta_1, self.beta_2);
        elementwise!(target, [m], |w, g, [m]| {
            let c = m * beta_1 + g * (1.0 - beta_1);
            // `c * 0` keeps a NaN.
            let sign = c.gt(0.0).select(1.0, c.lt(0.0).select(-1.0, c * 0.0));
            (w - sign * rate, [m * beta_2 + g * (1.0 - beta_2)])
        })
    }

    fn fused(&self) -> bool {
        true
    }
}
