//! Mean squared error: `mean((y_true - y_pred)^2)` over the last axis.

use super::{Loss, PerSample, Reduction, same_shape};
use sconce_core::{Dims, Result, Tensor};
use serde::{Deserialize, Serialize};

/// y_true and y_pred `[batch, .., d]`, values `[batch, ..]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeanSquaredError {
    /// How the values of a batch become one.
    pub reduction: Reduction,
    /// Name in logs.
    pub name: Option<String>,
}

impl Loss for MeanSquaredError {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let y_true = y_true.to_dtype(y_pred.dtype())?;
        Ok((y_pred - y_true)?.sqr()?.mean(candle_core::D::Minus1)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn check_dims(&self, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        same_shape(y_true, y_pred)
    }
}
