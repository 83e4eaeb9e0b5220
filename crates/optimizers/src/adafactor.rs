//! Adafactor: second moments of matrices kept as rows and columns.

use super::target::elementwise;
use super::{Common, Slot, Step, Target, UpdateRule, WeightInfo};
use sconce_core::{Config, DType, Result, Tensor};
use sconce_kernels::factored::{outer, square_means};
use sconce_kernels::update;
use sconce_ops::number::Number;

/// With `b = 1 - t^beta_2_decay` and `s = g^2 + epsilon_1`, of the last two axes of weights `[.., n, m]`:
/// `r = b r + (1 - b) mean of s over m`, `c = b c + (1 - b) mean of s over n`, `v = r c / mean(r)`; of vectors
/// and scalars `v = b v + (1 - b) s`. Then `u = g / sqrt(v)`,
/// `w -= max(epsilon_2, rms(w)) min(rate, 1 / sqrt(t)) u / max(1, rms(u) / clip_threshold)`. Keras's default learning
/// rate is 0.001.
///
/// Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory cost", 2018. As in Keras, v is a
/// variable too.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct Adafactor {
    /// The arguments that all optimizers share. Default learning rate 0.001.
    #[config(flatten, default = Common::new("adafactor", 0.001))]
    pub common: Common,
    /// Exponent with which the retention of the moments nears 1.
    #[config(default = -0.8, range = "(-inf, 0]")]
    pub beta_2_decay: f64,
    /// Added to squared gradients.
    #[config(default = 1e-30, range = "[0, inf)")]
    pub epsilon_1: f64,
    /// Least root mean square of a weight that counts.
    #[config(default = 1e-3, range = "[0, inf)")]
    pub epsilon_2: f64,
    /// Largest root mean square of an update before the rate; independent of `clipnorm` and its kin.
    #[config(default = 1.0, range = "(0, inf)")]
    pub clip_threshold: f64,
    /// Keras's name for the bound `1 / sqrt(t)` of the rate, which Keras applies either way, and so does
    /// Sconce.
    #[config(default = true)]
    pub relative_step: bool,
}

impl UpdateRule for Adafactor {
    fn common(&self) -> &Common {
        &self.common
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        // Keras names these after the weight alone, and outside of the optimizer where they stand for
        // nothing.
        let name = weight.path.rsplit('/').next().unwrap_or_default();
        let (r, c) = match weight.dims {
            [leading @ .., rows, columns] => {
                let optimizer = self.common.name.as_deref().unwrap_or("adafactor");
                let of = |last: usize| {
                    let dims: Vec<usize> = leading.iter().copied().chain([last]).collect();
                    Slot::new(name, &dims, weight.dtype).path(&format!("{optimizer}/{name}"))
                };
                (of(*rows), of(*columns))
            }
            _ => {
                let placeholder = Slot::new(name, &[], DType::I32).path(name);
                (placeholder.clone(), placeholder)
            }
        };
        vec![r, c, Slot::like("velocity", weight)]
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let ([r, c, v], w) = (target.slots, target.weight) else { return Ok(()) };
        let t = step.iteration as f64;
        let new = t.powf(self.beta_2_decay);
        let rate = step.rate.min(1.0 / t.sqrt());
        let mixed = |old: &Tensor, mean: &Tensor| (old * (1.0 - new))? + (mean * new)?;
        let factors = |rows: &Tensor, columns: &Tensor| -> Result<Tensor> {
            update::assign(r, &mixed(r, rows)?)?;
            update::assign(c, &mixed(c, columns)?)?;
            Ok(r.broadcast_div(&r.mean_keepdim(r.rank() - 1)?)?)
        };
        let factored = w.rank() >= 2;
        if target.prepare.is_some() {
            // First the gradient, then the update.
            let u = &w.zeros_like()?;
            let epsilon = self.epsilon_1;
            if factored {
                elementwise!(target, [u], |w, g, [_u]| (w, [g]))?;
                let (rows, columns) = square_means(u, epsilon as f32)?;
                outer(v, &factors(&rows, &columns)?, c)?;
                update::update(u, v, [], move |g, v, []| (g / v.sqrt(), []))?;
            } else {
                elementwise!(target, [v, u], |w, g, [v, _u]| {
                    let v = v * (1.0 - new) + (g * g + epsilon) * new;
                    (w, [v, g / v.sqrt()])
                })?;
            }
            let count = w.elem_count() as f64;
            let rms =
                |x: &Tensor| -> Result<f64> { Ok((update::sum_of_squares(x)? / count).sqrt()) };
            let shrink = rms(u)? / self.clip_threshold;
            // Not `max`, which would hide a NaN.
            let shrink = if shrink < 1.0 { 1.0 } else { shrink };
            return target.subtract(u, rms(w)?.max(self.epsilon_2) * rate / shrink);
        }
        let g = target.gradient;
        let square = (g.sqr()? + self.epsilon_1)?;
        if factored {
            let (rows, columns) = (w.rank() - 2, w.rank() - 1);
            let row = factors(&square.mean(columns)?, &square.mean(rows)?)?;
            let v_new = row.unsqueeze(columns)?.broadcast_mul(&c.unsqueeze(rows)?)?;
            update::assign(v, &v_new)?;
        } else {
            update::assign(v, &mixed(v, &square)?)?;
        }
        let rms = |x: &Tensor| x.sqr()?.mean_all()?.sqrt();
        let u = (g / v.sqrt()?)?;
        let shrink = (rms(&u)? / self.clip_threshold)?.maximum(1.0)?;
        let factor = ((rms(w)?.maximum(self.epsilon_2)? * rate)? / shrink)?;
        target.subtract(&u.broadcast_mul(&factor)?, 1.0)
    }

    fn fused(&self) -> bool {
        true
    }
}
