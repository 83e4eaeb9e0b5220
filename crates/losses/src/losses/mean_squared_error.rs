//! Mean squared error: `mean((y_true - y_pred)^2)` over the last axis.

use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Result, Tensor};
use sconce_ops::losses::{SquaredError, mean_loss};

/// `mean((y_true - y_pred)^2)` over the last axis. y_true and y_pred `[batch, .., d]`, values
/// `[batch, ..]`; y_true `[batch]` goes with y_pred `[batch, 1]`. Keras's `MeanSquaredError`, `"mse"`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct MeanSquaredError {
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `mean_squared_error`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for MeanSquaredError {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        Ok(mean_loss(SquaredError, &y_true, &y_pred)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
