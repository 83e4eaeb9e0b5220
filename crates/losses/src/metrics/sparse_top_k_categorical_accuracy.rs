//! How often the label is among the largest predictions.

use super::{SampleValues, averaged_metric};
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Config, Dims, Result, Tensor};
use sconce_ops::accuracy::top_k_hits;

/// The part of rows where fewer than `k` predictions are larger than the label's. Labels `[batch, ..]`
/// (or `[batch, .., 1]`), predictions `[batch, .., classes]`. Keras's `SparseTopKCategoricalAccuracy`,
/// without `from_sorted_ids`.
#[derive(Clone, Debug, Config)]
#[config(dtype, new(k))]
pub struct SparseTopKCategoricalAccuracy {
    /// How many of the largest predictions count.
    #[config(default = 5, range = "[1, inf)")]
    pub k: usize,
    /// Its name in logs; left out, `sparse_top_k_categorical_accuracy`.
    #[config(skip_none)]
    pub name: Option<String>,
}

averaged_metric!(SparseTopKCategoricalAccuracy, Max {
    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        let last = y_pred.rank().saturating_sub(1);
        let what = "sparse_top_k_categorical_accuracy";
        shapes::check_labels_shape(what, name, y_true, y_pred, last)
    }
});

impl SampleValues for SparseTopKCategoricalAccuracy {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        Ok(top_k_hits(&shapes::labels(y_true)?, y_pred, self.k)?.into())
    }
}
