//! How much predictions point in the direction of targets.

use super::{SampleValues, averaged_metric};
use crate::losses::PerSample;
use crate::losses::similarity;
use sconce_core::{Config, Result, Tensor};

/// `sum(y_true y_pred) / (|y_true| |y_pred|)` over an axis: 1 for the same direction, -1 for the opposite
/// one. y_true and y_pred `[batch, .., d]`. Keras's `CosineSimilarity`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct CosineSimilarity {
    /// The axis that the vectors lie along. Keras does not write it.
    #[config(default = -1, skip_default)]
    pub axis: i64,
    /// Its name in logs; left out, `cosine_similarity`.
    #[config(skip_none)]
    pub name: Option<String>,
}

averaged_metric!(CosineSimilarity, Max {});

impl SampleValues for CosineSimilarity {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        Ok(similarity(y_true, y_pred, self.axis)?.into())
    }
}
