//! How often the largest prediction is at the label.

use super::{SampleValues, averaged_metric};
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Config, Dims, Result, Tensor};
use sconce_ops::accuracy::argmax_hits;

/// The part of rows with `argmax(y_pred) == y_true`, the first index where predictions are equal.
/// Labels `[batch, ..]` (or `[batch, .., 1]`), predictions `[batch, .., classes]`. Keras's
/// `SparseCategoricalAccuracy`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct SparseCategoricalAccuracy {
    /// Its name in logs; left out, `sparse_categorical_accuracy`.
    #[config(skip_none)]
    pub name: Option<String>,
}

averaged_metric!(SparseCategoricalAccuracy, Max {
    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        let last = y_pred.rank().saturating_sub(1);
        shapes::check_labels_shape("sparse_categorical_accuracy", name, y_true, y_pred, last)
    }
});

impl SampleValues for SparseCategoricalAccuracy {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        Ok(argmax_hits(&shapes::labels(y_true)?, y_pred)?.into())
    }
}
