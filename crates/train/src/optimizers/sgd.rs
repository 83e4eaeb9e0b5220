//! SGD: stochastic gradient descent, with momentum.

use super::{Common, Rule, Slot, Step};
use crate::schedules::LearningRate;
use sconce_core::{Error, Result, Tensor};
use sconce_ops::update;
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
    /// Whether to look ahead.
    pub nesterov: bool,
    /// The arguments all optimizers share.
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

    /// Looks ahead, as Nesterov.
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.nesterov = nesterov;
        self
    }
}

impl Rule for SGD {
    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> Result<()> {
        if (0.0..=1.0).contains(&self.momentum) {
            return Ok(());
        }
        Err(Error::config("momentum", format!("must be in 0..1, got {}", self.momentum)))
    }

    fn slots(&self) -> Vec<Slot> {
        if self.momentum == 0.0 { Vec::new() } else { vec![Slot::zeros("momentum")] }
    }

    fn update(&self, step: &Step, w: &Tensor, g: &Tensor, slots: &[Tensor]) -> Result<()> {
        let (rate, scale) = (step.rate as f32, step.scale as f32);
        let momentum = self.momentum as f32;
        let nesterov = self.nesterov;
        match slots {
            [] if update::fuses(w) => update::update(
                w,
                g,
                [],
                #[inline(always)]
                move |w, g, []| (w - g * scale * rate, []),
            )?,
            [v] if update::fuses(w) => update::update(
                w,
                g,
                [v],
                #[inline(always)]
                move |w, g, [v]| {
                    let step = g * scale * rate;
                    let v = v * momentum - step;
                    (if nesterov { w + v * momentum - step } else { w + v }, [v])
                },
            )?,
            [v, ..] => {
                let delta = (g * (step.scale * step.rate))?;
                let velocity = ((v * self.momentum)? - &delta)?;
                let moved = if nesterov {
                    ((&velocity * self.momentum)? - delta)?
                } else {
                    velocity.clone()
                };
                update::assign(v, &velocity)?;
                update::assign(w, &(w + moved)?)?;
            }
            [] => update::assign(w, &(w - (g * (step.scale * step.rate))?)?)?,
        }
        Ok(())
    }
}
