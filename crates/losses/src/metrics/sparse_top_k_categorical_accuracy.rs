//! How often the label is among the largest predictions.

use super::{SampleValues, accuracy_metric, check_k};
use crate::dtype::Float32;
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Dims, Result, Tensor};
use sconce_ops::accuracy::top_k_hits;
use serde::{Deserialize, Serialize};

/// The part of rows where fewer than `k` predictions are larger than the label's. Labels `[batch, ..]`
/// (or `[batch, .., 1]`), predictions `[batch, .., classes]`. Keras's `SparseTopKCategoricalAccuracy`,
/// without `from_sorted_ids`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SparseTopKCategoricalAccuracy {
    /// How many of the largest predictions count. Default 5.
    pub k: usize,
    /// Its name in logs. Default `sparse_top_k_categorical_accuracy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type it computes in.
    #[serde(skip_serializing)]
    pub dtype: Float32,
}

impl Default for SparseTopKCategoricalAccuracy {
    fn default() -> Self {
        Self { k: 5, name: None, dtype: Float32 }
    }
}

impl SparseTopKCategoricalAccuracy {
    /// For the `k` largest predictions.
    pub fn new(k: usize) -> Self {
        Self { k, ..Self::default() }
    }
}

accuracy_metric!(SparseTopKCategoricalAccuracy = "sparse_top_k_categorical_accuracy" {
    fn check(&self) -> Result<()> {
        check_k(self.k)
    }

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
