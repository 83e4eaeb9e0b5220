//! AdamW: Adam with decoupled weight decay.

use super::adam::Moments;
use super::{Common, Kernel, Prepare, Slot, Step, UpdateRule, WeightInfo};
use sconce_core::{Config, Error, Result, Tensor};

/// [`Adam`](super::Adam) after `w -= rate weight_decay w`. Keras's defaults: learning rate 0.001, weight
/// decay 0.004 (`.weight_decay(..)` sets it).
///
/// Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct AdamW {
    /// The arguments that all optimizers share. Default learning rate 0.001, weight decay 0.004.
    #[config(flatten, default = Common::new("adam_w", 0.001).weight_decay(0.004))]
    pub common: Common,
    /// Retention of the first moment.
    #[config(default = 0.9, range = "[0, 1)")]
    pub beta_1: f64,
    /// Retention of the second moment.
    #[config(default = 0.999, range = "[0, 1)")]
    pub beta_2: f64,
    /// Added to the denominator.
    #[config(default = 1e-7, range = "[0, inf)")]
    pub epsilon: f64,
    /// Whether to use the largest second moment so far.
    #[config(default = false)]
    pub amsgrad: bool,
}

impl AdamW {
    fn moments(&self) -> Moments {
        let Self { beta_1, beta_2, epsilon, amsgrad, .. } = *self;
        Moments { beta_1, beta_2, epsilon, amsgrad }
    }
}

impl UpdateRule for AdamW {
    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> Result<()> {
        match self.common.weight_decay {
            Some(_) => Ok(()),
            None => Err(Error::config("weight_decay", "AdamW needs a number, found null")),
        }
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        self.moments().slots(weight)
    }

    fn update(&self, step: &Step<'_>, w: &Tensor, g: &Tensor, slots: &[Tensor]) -> Result<()> {
        self.moments().update(step, w, g, slots)
    }

    fn kernel(&self) -> Option<&dyn Kernel> {
        Some(self)
    }
}

impl Kernel for AdamW {
    fn run(
        &self,
        step: &Step<'_>,
        prepare: Prepare,
        w: &Tensor,
        g: &Tensor,
        slots: &[Tensor],
    ) -> Result<()> {
        self.moments().run(step, prepare, w, g, slots)
    }
}
