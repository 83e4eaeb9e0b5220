//! LAMB: Adam with a rate for each weight by its norm.

use super::target::elementwise;
use super::{Common, Slot, Step, Target, UpdateRule, WeightInfo};
use sconce_core::{Config, Result, Tensor};
use sconce_kernels::update;
use sconce_ops::number::Number;

/// `m += (g - m)(1 - beta_1)`, `v += (g^2 - v)(1 - beta_2)`,
/// `u = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)`, `w -= rate |w| / |u| u`, where the ratio of norms is 1
/// if one of them is 0. Keras's default learning rate is 0.001.
///
/// You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", 2019.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct Lamb {
    /// The arguments that all optimizers share. Default learning rate 0.001.
    #[config(flatten, default = Common::new("lamb", 0.001))]
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
}

impl UpdateRule for Lamb {
    fn common(&self) -> &Common {
        &self.common
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        vec![Slot::like("momentum", weight), Slot::like("velocity", weight)]
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let [m, v] = target.slots else { return Ok(()) };
        let (beta_1, beta_2, epsilon) = (self.beta_1, self.beta_2, self.epsilon);
        let t = step.iteration as f64;
        let (of_m, of_v) = (1.0 - beta_1.powf(t), 1.0 - beta_2.powf(t));
        let change = &target.weight.zeros_like()?;
        elementwise!(target, [m, v, change], |w, g, [m, v, _change]| {
            let m = m + (g - m) * (1.0 - beta_1);
            let v = v + (g * g - v) * (1.0 - beta_2);
            let change = m / of_m / ((v / of_v).sqrt() + epsilon);
            (w, [m, v, change])
        })?;
        if target.prepare.is_some() {
            let of_weight = update::sum_of_squares(target.weight)?.sqrt();
            let of_change = update::sum_of_squares(change)?.sqrt();
            let ratio =
                if of_weight == 0.0 || of_change == 0.0 { 1.0 } else { of_weight / of_change };
            return target.subtract(change, ratio * step.rate);
        }
        let norm = |x: &Tensor| x.sqr()?.sum_all()?.sqrt();
        let (of_weight, of_change) = (norm(target.weight)?, norm(change)?);
        let ratio = (&of_weight / &of_change)?;
        let neither = (of_weight.ne(0.0)? * of_change.ne(0.0)?)?;
        let ratio = neither.where_cond(&ratio, &ratio.ones_like()?)?;
        target.subtract(&change.broadcast_mul(&ratio)?, step.rate)
    }

    fn fused(&self) -> bool {
        true
    }
}
