//! SGD: stochastic gradient descent, with momentum.

use super::{Common, Kernel, Prepare, Slot, Step, UpdateRule, WeightInfo};
use sconce_core::{Config, Result, Tensor};
use sconce_kernels::update;

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
