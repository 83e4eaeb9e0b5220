//! Mean squared error: `mean((y_true - y_pred)^2)` over the last axis.

use super::{Loss, PerSample, Reduction, common_builders};
use crate::dtype::Float32;
use crate::shapes;
use sconce_core::{Result, Tensor};
use sconce_ops::losses::{SquaredError, mean_loss};
use serde::{Deserialize, Serialize};

/// `mean((y_true - y_pred)^2)` over the last axis. y_true and y_pred `[batch, .., d]`, values
/// `[batch, ..]`; y_true `[batch]` goes with y_pred `[batch, 1]`. Keras's `MeanSquaredError`, `"mse"`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeanSquaredError {
    /// How the values of a batch are reduced to one. Default `sum_over_batch_size`.
    pub reduction: Reduction,
    /// Its name. Default `mean_squared_error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type it computes in.
    #[serde(skip_serializing)]
    pub dtype: Float32,
}

common_builders!(MeanSquaredError);

impl Loss for MeanSquaredError {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        Ok(mean_loss(SquaredError, &y_true, &y_pred)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
