//! Mean absolute error.

use super::{Metric, Running, SampleValues, averaged};
use crate::dtype::Float32;
use crate::losses::{self, Loss, PerSample};
use crate::shapes;
use sconce_core::{Dims, Result, Tensor};
use serde::{Deserialize, Serialize};

/// `mean(|y_true - y_pred|)`. Both `[batch, ..]`. Keras's `MeanAbsoluteError`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeanAbsoluteError {
    /// Its name in logs. Default `mean_absolute_error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type it computes in.
    #[serde(skip_serializing)]
    pub dtype: Float32,
}

impl Metric for MeanAbsoluteError {
    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "mean_absolute_error".to_string())
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        shapes::check_aligned("mean_absolute_error", name, y_true, y_pred)
    }

    fn start(&self) -> Box<dyn Running> {
        averaged(self.clone())
    }
}

impl SampleValues for MeanAbsoluteError {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        losses::MeanAbsoluteError::default().per_sample(y_true, y_pred)
    }
}
