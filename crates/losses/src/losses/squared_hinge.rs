//! Squared hinge loss: a margin between two classes.

use super::hinge::signed;
use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Result, Tensor};
use sconce_ops::losses::mean_loss;

/// The mean of `max(1 - y_true y_pred, 0)^2` over the last axis. Targets are -1 or 1; those of a batch
/// that are all 0 or 1 are converted. y_true and y_pred `[batch, .., d]`, values `[batch, ..]`. Keras's
/// `SquaredHinge`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct SquaredHinge {
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `squared_hinge`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for SquaredHinge {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let y_true = signed(&y_true.to_dtype(y_pred.dtype())?)?;
        Ok(mean_loss(sconce_ops::losses::SquaredHinge, &y_true, &y_pred)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
