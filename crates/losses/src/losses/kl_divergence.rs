//! Kullback-Leibler divergence between two distributions.

use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Result, Tensor};
use sconce_ops::losses::{KlDivergence, sum_loss};

/// The sum of `y_true ln(y_true / y_pred)` over the last axis, both kept in 1e-7..1. y_true and y_pred
/// `[batch, .., classes]`, values `[batch, ..]`. Keras's `KLDivergence`, `"kld"`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct KLDivergence {
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `kl_divergence`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for KLDivergence {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        Ok(sum_loss(KlDivergence, &y_true, &y_pred)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
