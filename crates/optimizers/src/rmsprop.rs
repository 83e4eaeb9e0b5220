//! RMSprop: gradients divided by a running root mean square of them.

use super::{
    Common, Kernel, Prepare, RuleConfig, Slot, Step, UpdateRule, WeightInfo, require_non_negative,
    require_part,
};
use crate::schedules::LearningRate;
use sconce_core::{Result, Tensor};
use sconce_kernels::update;
use serde::{Deserialize, Serialize};

/// `v = rho v + (1 - rho) g^2`, `d = rate g / sqrt(v + epsilon)`, `w -= d`; with momentum
/// `m = momentum m + d`, `w -= m`; `centered` takes `v - a^2` for v, where
/// `a = rho a + (1 - rho) g`. Keras's default learning rate is 0.001.
///
/// Hinton, "Neural networks for machine learning", lecture 6, 2012; centered: Graves, "Generating
/// sequences with recurrent neural networks", 2013.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RMSprop {
    /// Retention of the mean square.
    pub rho: f64,
    /// Momentum of the updates.
    pub momentum: f64,
    /// Added under the root.
    pub epsilon: f64,
    /// Whether gradients are normalized by their estimated variance instead of their mean square.
    pub centered: bool,
    /// The arguments that all optimizers share.
    #[serde(skip, default = "defaults")]
    pub common: Common,
}

fn defaults() -> Common {
    Common::with_rate(0.001)
}

impl Default for RMSprop {
    fn default() -> Self {
        Self { rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false, common: defaults() }
    }
}

impl RMSprop {
    /// With a learning rate, a number or a schedule.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Self {
        Self { common: Common::with_rate(learning_rate), ..Self::default() }
    }

    /// Sets the retention of the mean square.
    pub fn rho(mut self, rho: f64) -> Self {
        self.rho = rho;
        self
    }

    /// Sets the momentum of the updates.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets what is added under the root.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Sets whether gradients are normalized by their estimated variance.
    pub fn centered(mut self, centered: bool) -> Self {
        self.centered = centered;
        self
    }
}

impl RuleConfig for RMSprop {
    const CLASS_NAME: &'static str = "RMSprop";

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }
}

impl UpdateRule for RMSprop {
    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> Result<()> {
        require_part("rho", self.rho, false)?;
        require_part("momentum", self.momentum, false)?;
        require_non_negative("epsilon", self.epsilon)
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

    fn update(&self, step: &Step<'_>, w: &Tensor, g: &Tensor, slots: &[Tensor]) -> Result<()> {
        let [v, rest @ ..] = slots else { return Ok(()) };
        let mixed = |old: &Tensor, new: &Tensor| (old * self.rho)? + (new * (1.0 - self.rho))?;
        update::assign(v, &mixed(v, &g.sqr()?)?)?;
        let mut square = v.clone();
        if let (true, Some(mean)) = (self.centered, rest.last()) {
            update::assign(mean, &mixed(mean, g)?)?;
            square = (square - mean.sqr()?)?;
        }
        let mut change = ((g * step.rate)? / (square + self.epsilon)?.sqrt()?)?;
        if let (true, Some(m)) = (self.momentum > 0.0, rest.first()) {
            update::assign(m, &((m * self.momentum)? + change)?)?;
            change = m.clone();
        }
        Ok(update::assign(w, &(w - change)?)?)
    }

    fn kernel(&self) -> Option<&dyn Kernel> {
        Some(self)
    }
}

impl Kernel for RMSprop {
    fn run(
        &self,
        step: &Step<'_>,
        prepare: Prepare,
        w: &Tensor,
        g: &Tensor,
        slots: &[Tensor],
    ) -> Result<()> {
        let (rate, momentum, epsilon) =
            (step.rate as f32, self.momentum as f32, self.epsilon as f32);
        let (old, new) = (self.rho as f32, (1.0 - self.rho) as f32);
        match (slots, self.centered) {
            ([v], _) => update::update(
                w,
                g,
                [v],
                #[inline(always)]
                move |w, g, [v]| {
                    let (w, g) = (prepare.weight(w), prepare.gradient(g));
                    let v = old * v + new * (g * g);
                    (w - rate * g / (v + epsilon).sqrt(), [v])
                },
            )?,
            ([v, m], false) => update::update(
                w,
                g,
                [v, m],
                #[inline(always)]
                move |w, g, [v, m]| {
                    let (w, g) = (prepare.weight(w), prepare.gradient(g));
                    let v = old * v + new * (g * g);
                    let m = momentum * m + rate * g / (v + epsilon).sqrt();
                    (w - m, [v, m])
                },
            )?,
            ([v, a], true) => update::update(
                w,
                g,
                [v, a],
                #[inline(always)]
                move |w, g, [v, a]| {
                    let (w, g) = (prepare.weight(w), prepare.gradient(g));
                    let (v, a) = (old * v + new * (g * g), old * a + new * g);
                    (w - rate * g / (v - a * a + epsilon).sqrt(), [v, a])
                },
            )?,
            ([v, m, a], _) => update::update(
                w,
                g,
                [v, m, a],
                #[inline(always)]
                move |w, g, [v, m, a]| {
                    let (w, g) = (prepare.weight(w), prepare.gradient(g));
                    let (v, a) = (old * v + new * (g * g), old * a + new * g);
                    let m = momentum * m + rate * g / (v - a * a + epsilon).sqrt();
                    (w - m, [v, m, a])
                },
            )?,
            _ => {}
        }
        Ok(())
    }
}
