//! SGD: stochastic gradient descent, with momentum.

use super::{
    Common, Kernel, Prepare, RuleConfig, Slot, Step, UpdateRule, WeightInfo, require_part,
};
use crate::schedules::LearningRate;
use sconce_core::{Result, Tensor};
use sconce_kernels::update;
use serde::{Deserialize, Serialize};

/// Without momentum `w -= rate g`. With it `v = momentum v - rate g`, then `w += v`, or, with
/// `nesterov`, `w += momentum v - rate g`. Keras's default learning rate is 0.01.
///
/// Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SGD {
    /// Retention of the velocity, in 0..1.
    pub momentum: f64,
    /// Whether to apply Nesterov momentum.
    pub nesterov: bool,
    /// The arguments that all optimizers share.
    #[serde(skip, default = "defaults")]
    pub common: Common,
}

fn defaults() -> Common {
    Common::with_rate(0.01)
}

impl Default for SGD {
    fn default() -> Self {
        Self { momentum: 0.0, nesterov: false, common: defaults() }
    }
}

impl SGD {
    /// With a learning rate, a number or a schedule.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Self {
        Self { common: Common::with_rate(learning_rate), ..Self::default() }
    }

    /// Sets the retention of the velocity.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Applies Nesterov momentum.
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.nesterov = nesterov;
        self
    }
}

impl RuleConfig for SGD {
    const CLASS_NAME: &'static str = "SGD";

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }
}

impl UpdateRule for SGD {
    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> Result<()> {
        require_part("momentum", self.momentum, false)
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        if self.momentum == 0.0 { Vec::new() } else { vec![Slot::like("momentum", weight)] }
    }

    fn update(&self, step: &Step<'_>, w: &Tensor, g: &Tensor, slots: &[Tensor]) -> Result<()> {
        let change = (g * step.rate)?;
        let [v, ..] = slots else { return Ok(update::assign(w, &(w - change)?)?) };
        update::assign(v, &((v * self.momentum)? - &change)?)?;
        let moved = if self.nesterov { ((v * self.momentum)? - change)? } else { v.clone() };
        Ok(update::assign(w, &(w + moved)?)?)
    }

    fn kernel(&self) -> Option<&dyn Kernel> {
        Some(self)
    }
}

impl Kernel for SGD {
    fn run(
        &self,
        step: &Step<'_>,
        prepare: Prepare,
        w: &Tensor,
        g: &Tensor,
        slots: &[Tensor],
    ) -> Result<()> {
        let (rate, momentum, nesterov) = (step.rate as f32, self.momentum as f32, self.nesterov);
        match slots {
            [] => update::update(
                w,
                g,
                [],
                #[inline(always)]
                move |w, g, []| (prepare.weight(w) - prepare.gradient(g) * rate, []),
            )?,
            [v, ..] => update::update(
                w,
                g,
                [v],
                #[inline(always)]
                move |w, g, [v]| {
                    let (w, change) = (prepare.weight(w), prepare.gradient(g) * rate);
                    let v = v * momentum - change;
                    (if nesterov { w + (v * momentum - change) } else { w + v }, [v])
                },
            )?,
        }
        Ok(())
    }
}
