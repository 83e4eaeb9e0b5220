//! Mean absolute error: `mean(|y_true - y_pred|)` over the last axis.

use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Result, Tensor};
use sconce_ops::losses::{AbsoluteError, mean_loss};

/// `mean(|y_true - y_pred|)` over the last axis. y_true and y_pred `[batch, .., d]`, values
/// `[batch, ..]`; y_true `[batch]` goes with y_pred `[batch, 1]`. Keras's `MeanAbsoluteError`, `"mae"`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct MeanAbsoluteError {
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `mean_absolute_error`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for MeanAbsoluteError {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        Ok(mean_loss(AbsoluteError, &y_true, &y_pred)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
