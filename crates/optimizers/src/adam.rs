//! Adam: adaptive moments.

use super::{Common, Kernel, Prepare, Slot, Step, UpdateRule, WeightInfo};
use sconce_core::{Config, Result, Tensor};
use sconce_kernels::update;

/// `m += (g - m)(1 - beta_1)`, `v += (g^2 - v)(1 - beta_2)`,
/// `w -= rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)`; with `amsgrad` the
/// largest v so far takes the place of v. Keras's default learning rate is 0.001.
///
/// Kingma and Ba, "Adam: a method for stochastic optimization", 2014 (epsilon as in the form just
/// before section 2.1, "epsilon hat"); Reddi et al., "On the convergence of Adam and beyond", 2018.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct Adam {
    /// The arguments that all optimizers share. Default learning rate 0.001.
    #[config(flatten, default = Common::new("adam", 0.001))]
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

impl Adam {
    fn moments(&self) -> Moments {
        let Self { beta_1, beta_2, epsilon, amsgrad, .. } = *self;
        Moments { beta_1, beta_2, epsilon, amsgrad }
    }
}

impl UpdateRule for Adam {
    fn common(&self) -> &Common {
        &self.common
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

impl Kernel for Adam {
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

/// The formulas of [`Adam`], which others use too.
#[derive(Clone, Copy)]
pub(super) struct Moments {
    pub beta_1: f64,
    pub beta_2: f64,
    pub epsilon: f64,
    pub amsgrad: bool,
}

impl Moments {
    pub fn slots(self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        let mut slots = vec![Slot::like("momentum", weight), Slot::like("velocity", weight)];
        if self.amsgrad {
            slots.push(Slot::like("velocity_hat", weight).group(1));
        }
        slots
    }

    /// The learning rate with the bias corrections of both moments.
    fn corrected(self, step: &Step<'_>) -> f64 {
        let t = step.iteration as f64;
        step.rate * (1.0 - self.beta_2.powf(t)).sqrt() / (1.0 - self.beta_1.powf(t))
    }

    pub fn update(self, step: &Step<'_>, w: &Tensor, g: &Tensor, slots: &[Tensor]) -> Result<()> {
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

    pub fn run(
        self,
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
