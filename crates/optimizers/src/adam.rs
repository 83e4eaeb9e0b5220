//! Adam: adaptive moments.

use super::{
    Common, Kernel, Prepare, RuleConfig, Slot, Step, UpdateRule, WeightInfo, require_non_negative,
    require_part,
};
use crate::schedules::LearningRate;
use sconce_core::{Result, Tensor};
use sconce_kernels::update;
use serde::{Deserialize, Serialize};

/// `m += (g - m)(1 - beta_1)`, `v += (g^2 - v)(1 - beta_2)`,
/// `w -= rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)`; with `amsgrad` the
/// largest v so far takes the place of v. Keras's default learning rate is 0.001.
///
/// Kingma and Ba, "Adam: a method for stochastic optimization", 2014 (epsilon as in the form just
/// before section 2.1, "epsilon hat"); Reddi et al., "On the convergence of Adam and beyond", 2018.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adam {
    /// Retention of the first moment.
    pub beta_1: f64,
    /// Retention of the second moment.
    pub beta_2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// Whether to use the largest second moment so far.
    pub amsgrad: bool,
    /// The arguments that all optimizers share.
    #[serde(skip, default = "defaults")]
    pub common: Common,
}

fn defaults() -> Common {
    Common::with_rate(0.001)
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, amsgrad: false, common: defaults() }
    }
}

impl Adam {
    /// With a learning rate, a number or a schedule.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Self {
        Self { common: Common::with_rate(learning_rate), ..Self::default() }
    }

    /// Sets the retention of the first moment.
    pub fn beta_1(mut self, beta_1: f64) -> Self {
        self.beta_1 = beta_1;
        self
    }

    /// Sets the retention of the second moment.
    pub fn beta_2(mut self, beta_2: f64) -> Self {
        self.beta_2 = beta_2;
        self
    }

    /// Sets what is added to the denominator.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Uses the largest second moment so far.
    pub fn amsgrad(mut self, amsgrad: bool) -> Self {
        self.amsgrad = amsgrad;
        self
    }
}

impl RuleConfig for Adam {
    const CLASS_NAME: &'static str = "Adam";

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }
}

impl Adam {
    /// The learning rate with the bias corrections of both moments.
    fn corrected(&self, step: &Step<'_>) -> f64 {
        let t = step.iteration as f64;
        step.rate * (1.0 - self.beta_2.powf(t)).sqrt() / (1.0 - self.beta_1.powf(t))
    }
}

impl UpdateRule for Adam {
    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> Result<()> {
        require_part("beta_1", self.beta_1, true)?;
        require_part("beta_2", self.beta_2, true)?;
        require_non_negative("epsilon", self.epsilon)
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        let mut slots = vec![Slot::like("momentum", weight), Slot::like("velocity", weight)];
        if self.amsgrad {
            slots.push(Slot::like("velocity_hat", weight).group(1));
        }
        slots
    }

    fn update(&self, step: &Step<'_>, w: &Tensor, g: &Tensor, slots: &[Tensor]) -> Result<()> {
        let [m, v, rest @ ..] = slots else { return Ok(()) };
        update::assign(m, &(m + ((g - m)? * (1.0 - self.beta_1))?)?)?;
        update::assign(v, &(v + ((g.sqr()? - v)? * (1.0 - self.beta_2))?)?)?;
        let v = match rest {
            [top, ..] => {
                update::assign(top, &top.maximum(v)?)?;
                top
            }
            [] => v,
        };
        let change = ((m * self.corrected(step))? / (v.sqrt()? + self.epsilon)?)?;
        Ok(update::assign(w, &(w - change)?)?)
    }

    fn kernel(&self) -> Option<&dyn Kernel> {
        Some(self)
    }
}

impl Kernel for Adam {
    fn run(
        &self,
        step: &Step<'_>,
        prepare: Prepare,
        w: &Tensor,
        g: &Tensor,
        slots: &[Tensor],
    ) -> Result<()> {
        let rate = self.corrected(step) as f32;
        let (b1, b2) = ((1.0 - self.beta_1) as f32, (1.0 - self.beta_2) as f32);
        let epsilon = self.epsilon as f32;
        match slots {
            [m, v] => update::update(
                w,
                g,
                [m, v],
                #[inline(always)]
                move |w, g, [m, v]| {
                    let (w, g) = (prepare.weight(w), prepare.gradient(g));
                    let m = m + (g - m) * b1;
                    let v = v + (g * g - v) * b2;
                    (w - m * rate / (v.sqrt() + epsilon), [m, v])
                },
            )?,
            [m, v, top] => update::update(
                w,
                g,
                [m, v, top],
                #[inline(always)]
                move |w, g, [m, v, top]| {
                    let (w, g) = (prepare.weight(w), prepare.gradient(g));
                    let m = m + (g - m) * b1;
                    let v = v + (g * g - v) * b2;
                    let top = if v > top { v } else { top };
                    (w - m * rate / (top.sqrt() + epsilon), [m, v, top])
                },
            )?,
            _ => {}
        }
        Ok(())
    }
}
