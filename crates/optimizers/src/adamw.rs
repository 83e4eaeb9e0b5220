//! AdamW: Adam with decoupled weight decay.

use super::{Adam, Common, Kernel, RuleConfig, Slot, Step, UpdateRule, WeightInfo};
use crate::schedules::LearningRate;
use sconce_core::{Error, Result, Tensor};
use serde::{Deserialize, Serialize};

/// [`Adam`] after `w -= rate weight_decay w`. Keras's defaults: learning rate 0.001, weight decay
/// 0.004 (`.weight_decay(..)` sets it).
///
/// Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Adam")]
pub struct AdamW(Adam);

impl From<Adam> for AdamW {
    fn from(mut adam: Adam) -> Self {
        adam.common.weight_decay.get_or_insert(0.004);
        Self(adam)
    }
}

impl Default for AdamW {
    fn default() -> Self {
        Adam::default().into()
    }
}

impl AdamW {
    /// With a learning rate, a number or a schedule.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Self {
        Adam::new(learning_rate).into()
    }

    /// Sets the retention of the first moment.
    pub fn beta_1(self, beta_1: f64) -> Self {
        Self(self.0.beta_1(beta_1))
    }

    /// Sets the retention of the second moment.
    pub fn beta_2(self, beta_2: f64) -> Self {
        Self(self.0.beta_2(beta_2))
    }

    /// Sets what is added to the denominator.
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self(self.0.epsilon(epsilon))
    }

    /// Uses the largest second moment so far.
    pub fn amsgrad(self, amsgrad: bool) -> Self {
        Self(self.0.amsgrad(amsgrad))
    }
}

impl RuleConfig for AdamW {
    const CLASS_NAME: &'static str = "AdamW";

    fn common_mut(&mut self) -> &mut Common {
        self.0.common_mut()
    }
}

impl UpdateRule for AdamW {
    fn common(&self) -> &Common {
        self.0.common()
    }

    fn check(&self) -> Result<()> {
        if self.common().weight_decay.is_none() {
            return Err(Error::config("weight_decay", "AdamW needs a number, found null"));
        }
        self.0.check()
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        self.0.slots(weight)
    }

    fn update(&self, step: &Step<'_>, w: &Tensor, g: &Tensor, slots: &[Tensor]) -> Result<()> {
        self.0.update(step, w, g, slots)
    }

    fn kernel(&self) -> Option<&dyn Kernel> {
        self.0.kernel()
    }
}
