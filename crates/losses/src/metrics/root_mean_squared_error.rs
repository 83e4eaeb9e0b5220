//! Root of the mean squared error.

use super::{Goal, Metric, MetricState, SampleValues, averaged};
use crate::dtype::Float32;
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// `sqrt(mean((y_true - y_pred)^2))`, the mean over all samples and values. Both `[batch, ..]`. Keras's
/// `RootMeanSquaredError`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RootMeanSquaredError {
    /// Its name in logs. Default `root_mean_squared_error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type it computes in.
    #[serde(skip_serializing)]
    pub dtype: Float32,
}

impl Metric for RootMeanSquaredError {
    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "root_mean_squared_error".to_string())
    }

    fn goal(&self) -> Option<Goal> {
        Some(Goal::Min)
    }

    fn new_state(&self) -> Box<dyn MetricState> {
        averaged(self.clone())
    }
}

impl SampleValues for RootMeanSquaredError {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        Ok((y_pred.sub(&y_true.to_dtype(y_pred.dtype())?)?).sqr()?.into())
    }

    fn finish(&self, mean: f64) -> f64 {
        mean.sqrt()
    }
}
