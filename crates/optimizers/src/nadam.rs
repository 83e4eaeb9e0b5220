//! Nadam: Adam with Nesterov momentum.

use super::target::elementwise;
use super::{Common, Initial, Slot, Step, Target, UpdateRule, WeightInfo};
use sconce_core::{Config, DType, Result};
use sconce_kernels::update;
use sconce_ops::number::Number;

/// With `u_t = beta_1 (1 - 0.96^t / 2)` and `p` the product of all u so far:
/// `m += (g - m)(1 - beta_1)`, `v += (g^2 - v)(1 - beta_2)`,
/// `w -= rate (u_{t+1} m / (1 - p u_{t+1}) + (1 - u_t) g / (1 - p)) / (sqrt(v / (1 - beta_2^t)) + epsilon)`. Keras's default
/// learning rate is 0.001.
///
/// Dozat, "Incorporating Nesterov momentum into Adam", 2015.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct Nadam {
    /// The arguments that all optimizers share. Default learning rate 0.001.
    #[config(flatten, default = Common::new("nadam", 0.001))]
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

impl Nadam {
    /// The momentum of update `t`.
    fn momentum(&self, t: u64) -> f64 {
        self.beta_1 * (1.0 - 0.5 * 0.96f64.powf(t as f64))
    }
}

impl UpdateRule for Nadam {
    fn common(&self) -> &Common {
        &self.common
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        vec![Slot::like("momentum", weight), Slot::like("velocity", weight)]
    }

    fn shared_slots(&self, dtype: DType) -> Vec<Slot> {
        vec![
            Slot::new("u_product", &[], dtype)
                .initial(Initial::Value(1.0))
                .path("variable")
                .on_cpu(),
        ]
    }

    fn shared_after(&self, updates: u64) -> Vec<f64> {
        let mut product = 1.0;
        for update in 1..=updates {
            if product == 0.0 {
                break;
            }
            product *= self.momentum(update);
        }
        vec![product]
    }

    fn update_shared(&self, step: &Step<'_>) -> Result<()> {
        let [product] = step.shared else { return Ok(()) };
        Ok(update::assign(product, &(product * self.momentum(step.iteration))?)?)
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let ([m, v], [product]) = (target.slots, step.shared) else { return Ok(()) };
        let product: f64 = product.to_dtype(DType::F64)?.to_scalar()?;
        let (beta_1, beta_2, epsilon) = (self.beta_1, self.beta_2, self.epsilon);
        let (now, next) = (self.momentum(step.iteration), self.momentum(step.iteration + 1));
        let of_m = next / (1.0 - product * next);
        let of_g = (1.0 - now) / (1.0 - product);
        let correction = 1.0 - beta_2.powf(step.iteration as f64);
        let rate = step.rate;
        elementwise!(target, [m, v], |w, g, [m, v]| {
            let m = m + (g - m) * (1.0 - beta_1);
            let v = v + (g * g - v) * (1.0 - beta_2);
            (w - (m * of_m + g * of_g) * rate / ((v / correction).sqrt() + epsilon), [m, v])
        })
    }

    fn fused(&self) -> bool {
        true
    }
}
