//! RMSprop: gradients divided by a running root mean square of them.

use super::{Common, Kernel, Prepare, Slot, Step, UpdateRule, WeightInfo};
use sconce_core::{Config, Result, Tensor};
use sconce_kernels::update;

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
