//! How often the target's class is among the largest predictions.

use super::{SampleValues, accuracy_metric, check_k};
use crate::dtype::Float32;
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Result, Tensor};
use sconce_ops::accuracy::{argmax, top_k_hits};
use serde::{Deserialize, Serialize};

/// The part of rows where fewer than `k` predictions are larger than the one at `argmax(y_true)`. Both
/// `[batch, .., classes]`. Keras's `TopKCategoricalAccuracy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopKCategoricalAccuracy {
    /// How many of the largest predictions count. Default 5.
    pub k: usize,
    /// Its name in logs. Default `top_k_categorical_accuracy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type it computes in.
    #[serde(skip_serializing)]
    pub dtype: Float32,
}

impl Default for TopKCategoricalAccuracy {
    fn default() -> Self {
        Self { k: 5, name: None, dtype: Float32 }
    }
}

impl TopKCategoricalAccuracy {
    /// For the `k` largest predictions.
    pub fn new(k: usize) -> Self {
        Self { k, ..Self::default() }
    }
}

accuracy_metric!(TopKCategoricalAccuracy = "top_k_categorical_accuracy" {
    fn check(&self) -> Result<()> {
        check_k(self.k)
    }
});

impl SampleValues for TopKCategoricalAccuracy {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let labels = argmax(&y_true.to_dtype(y_pred.dtype())?)?;
        Ok(top_k_hits(&labels, &y_pred, self.k)?.into())
    }
}
