//! How often the target's class is among the largest predictions.

use super::{SampleValues, averaged_metric};
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Config, Result, Tensor};
use sconce_ops::accuracy::{argmax, top_k_hits};

/// The part of rows where fewer than `k` predictions are larger than the one at `argmax(y_true)`. Both
/// `[batch, .., classes]`. Keras's `TopKCategoricalAccuracy`.
#[derive(Clone, Debug, Config)]
#[config(dtype, new(k))]
pub struct TopKCategoricalAccuracy {
    /// How many of the largest predictions count.
    #[config(default = 5, range = "[1, inf)")]
    pub k: usize,
    /// Its name in logs; left out, `top_k_categorical_accuracy`.
    #[config(skip_none)]
    pub name: Option<String>,
}

averaged_metric!(TopKCategoricalAccuracy, Max {});

impl SampleValues for TopKCategoricalAccuracy {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let labels = argmax(&y_true.to_dtype(y_pred.dtype())?)?;
        Ok(top_k_hits(&labels, &y_pred, self.k)?.into())
    }
}
