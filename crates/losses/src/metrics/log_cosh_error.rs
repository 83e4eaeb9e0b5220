//! The mean logarithm of the hyperbolic cosine of errors.

use super::{SampleValues, averaged_metric};
use crate::losses::PerSample;
use crate::losses::{LogCosh, Loss};
use sconce_core::{Config, Result, Tensor};

/// The mean of the loss [`LogCosh`](crate::losses::LogCosh). y_true and y_pred `[batch, .., d]`.
/// Keras's `LogCoshError`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct LogCoshError {
    /// Its name in logs; left out, `logcosh`.
    #[config(skip_none)]
    pub name: Option<String>,
}

averaged_metric!(LogCoshError, Min "logcosh" {});

impl SampleValues for LogCoshError {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        LogCosh::new().per_sample(y_true, y_pred)
    }
}
