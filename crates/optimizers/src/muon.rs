//! Muon: momentum made orthogonal.

use super::adam::Moments;
use super::target::elementwise;
use super::{Common, Slot, Step, Target, UpdateRule, WeightInfo};
use regex::Regex;
use sconce_core::{Config, Error, Result, Tensor};

/// For matrices `[n, m]`: `v = momentum v + g`, `u = orthogonal(g + momentum v)` (of `v` without
/// `nesterov`), `w -= rate rms_rate sqrt(max(n, m)) u`. `orthogonal` is `ns_steps` Newton-Schulz iterations
/// `x = a x + (b x x^T + c (x x^T)^2) x` from `x / |x|`. Weights of other ranks, embeddings and weights whose
/// path one of `exclude_layers` finds are updated as by [`AdamW`](super::AdamW). Keras's defaults: learning
/// rate 0.001, weight decay 0.004.
///
/// The last layer should be excluded: `Muon::new(0.001).exclude_layers(["output".to_string()])`.
///
/// Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; `rms_rate`: Liu et al.,
/// "Muon is scalable for LLM training", 2025.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct Muon {
    /// The arguments that all optimizers share. Default learning rate 0.001, weight decay 0.004 (of matrices
    /// only).
    #[config(flatten, default = Common::new("muon", 0.001).weight_decay(0.004))]
    pub common: Common,
    /// Retention of the first moment of what AdamW updates.
    #[config(default = 0.9, range = "[0, 1)")]
    pub adam_beta_1: f64,
    /// Retention of its second moment.
    #[config(default = 0.999, range = "[0, 1)")]
    pub adam_beta_2: f64,
    /// Added to the denominator of AdamW.
    #[config(default = 1e-7, range = "[0, inf)")]
    pub epsilon: f64,
    /// Regular expressions; AdamW updates the weights in whose paths one of them is found.
    #[config(default, null = Vec::new())]
    pub exclude_layers: Vec<String>,
    /// Coefficient of `x`.
    #[config(default = 3.4445, range = "(-inf, inf)")]
    pub muon_a: f64,
    /// Coefficient of `x x^T x`.
    #[config(default = -4.775, range = "(-inf, inf)")]
    pub muon_b: f64,
    /// Coefficient of `(x x^T)^2 x`.
    #[config(default = 2.0315, range = "(-inf, inf)")]
    pub muon_c: f64,
    /// Factor on the learning rate of AdamW.
    #[config(default = 1.0, range = "[0, inf)")]
    pub adam_lr_ratio: f64,
    /// Retention of the momentum.
    #[config(default = 0.95, range = "[0, 1]")]
    pub momentum: f64,
    /// Newton-Schulz iterations.
    #[config(default = 5, range = "[0, 100]")]
    pub ns_steps: usize,
    /// Whether to apply Nesterov momentum.
    #[config(default = true)]
    pub nesterov: bool,
    /// Whether AdamW updates weights with "embedding" in their paths.
    #[config(default = true)]
    pub exclude_embeddings: bool,
    /// Weight decay of what AdamW updates.
    #[config(default = 0.004, range = "[0, inf)")]
    pub adam_weight_decay: Option<f64>,
    /// Root mean square of an update, in learning rates; `null`: `w -= rate u`.
    #[config(default = 0.2, range = "[0, inf)")]
    pub rms_rate: Option<f64>,
}

impl Muon {
    fn uses_adam(&self, weight: &WeightInfo<'_>) -> bool {
        let found = |pattern: &String| Regex::new(pattern).is_ok_and(|p| p.is_match(weight.path));
        weight.dims.len() != 2
            || self.exclude_embeddings && weight.path.to_lowercase().contains("embedding")
            || self.exclude_layers.iter().any(found)
    }

    /// The nearest matrix with orthonormal rows or columns, about.
    fn orthogonal(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, columns) = x.dims2()?;
        let tall = rows > columns;
        let x = if tall { x.t()?.contiguous()? } else { x.clone() };
        let norm = (x.sqr()?.sum_all()?.sqrt()? + 1e-7)?;
        let mut x = x.broadcast_div(&norm)?;
        for _ in 0..self.ns_steps {
            let a = x.matmul(&x.t()?)?;
            let b = ((&a * self.muon_b)? + (&a * self.muon_c)?.matmul(&a)?)?;
            x = ((&x * self.muon_a)? + b.matmul(&x)?)?;
        }
        Ok(if tall { x.t()?.contiguous()? } else { x })
    }
}

impl UpdateRule for Muon {
    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> Result<()> {
        for (i, pattern) in self.exclude_layers.iter().enumerate() {
            Regex::new(pattern).map_err(|error| {
                Error::config(format!("exclude_layers[{i}]"), error.to_string())
            })?;
        }
        Ok(())
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        let mut slots = vec![Slot::like("momentum", weight)];
        if self.uses_adam(weight) {
            slots.push(Slot::like("velocity", weight));
        }
        slots
    }

    fn weight_decay(&self, weight: &WeightInfo<'_>) -> Option<f64> {
        if self.uses_adam(weight) { self.adam_weight_decay } else { self.common.weight_decay }
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let [v] = target.slots else {
            let (beta_1, beta_2) = (self.adam_beta_1, self.adam_beta_2);
            let moments = Moments { beta_1, beta_2, epsilon: self.epsilon, amsgrad: false };
            let step = Step { rate: step.rate * self.adam_lr_ratio, ..*step };
            return moments.update(&step, target);
        };
        let (momentum, nesterov) = (self.momentum, self.nesterov);
        let change = &target.weight.zeros_like()?;
        elementwise!(target, [v, change], |w, g, [v, _change]| {
            let v = v * momentum + g;
            (w, [v, if nesterov { g + v * momentum } else { v }])
        })?;
        let largest = target.weight.dims().iter().max().copied().unwrap_or_default() as f64;
        let scale = self.rms_rate.map_or(1.0, |rate| largest.sqrt() * rate);
        target.subtract(&self.orthogonal(change)?, step.rate * scale)
    }

    fn fused(&self) -> bool {
        true
    }
}
