//! Root of the mean squared error.

use super::{SampleValues, averaged_metric};
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Config, Result, Tensor};

/// `sqrt(mean((y_true - y_pred)^2))`, the mean over all samples and values. Both `[batch, ..]`. Keras's
/// `RootMeanSquaredError`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct RootMeanSquaredError {
    /// Its name in logs; left out, `root_mean_squared_error`.
    #[config(skip_none)]
    pub name: Option<String>,
}

averaged_metric!(RootMeanSquaredError, Min {});

impl SampleValues for RootMeanSquaredError {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        Ok((y_pred.sub(&y_true.to_dtype(y_pred.dtype())?)?).sqr()?.into())
    }

    /// Keras's is no `MeanMetricWrapper`.
    fn takes_mask(&self) -> bool {
        false
    }

    fn finish(&self, mean: f64) -> f64 {
        mean.sqrt()
    }
}
