//! Mean absolute percentage error: for errors that are relative to targets.

use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Result, Tensor};
use sconce_ops::losses::{AbsolutePercentageError, mean_loss};

/// The mean of `100 |y_true - y_pred| / max(|y_true|, 1e-7)` over the last axis. y_true and y_pred
/// `[batch, .., d]`, values `[batch, ..]`. Keras's `MeanAbsolutePercentageError`, `"mape"`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct MeanAbsolutePercentageError {
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `mean_absolute_percentage_error`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for MeanAbsolutePercentageError {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        Ok(mean_loss(AbsolutePercentageError, &y_true, &y_pred)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
