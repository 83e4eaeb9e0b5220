//! How often the largest prediction is the target's largest.

use super::{SampleValues, averaged_metric};
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Config, Result, Tensor};
use sconce_ops::accuracy::{argmax, argmax_hits};

/// The part of rows with `argmax(y_pred) == argmax(y_true)`, the first index where values are equal.
/// Both `[batch, .., classes]`. Keras's `CategoricalAccuracy`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct CategoricalAccuracy {
    /// Its name in logs; left out, `categorical_accuracy`.
    #[config(skip_none)]
    pub name: Option<String>,
}

averaged_metric!(CategoricalAccuracy, Max {});

impl SampleValues for CategoricalAccuracy {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let labels = argmax(&y_true.to_dtype(y_pred.dtype())?)?;
        Ok(argmax_hits(&labels, &y_pred)?.into())
    }
}
