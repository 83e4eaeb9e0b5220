//! How often the largest prediction is the target's largest.

use super::{SampleValues, accuracy_metric};
use crate::dtype::Float32;
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Result, Tensor};
use sconce_ops::accuracy::{argmax, argmax_hits};
use serde::{Deserialize, Serialize};

/// The part of rows with `argmax(y_pred) == argmax(y_true)`, the first index where values are equal.
/// Both `[batch, .., classes]`. Keras's `CategoricalAccuracy`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CategoricalAccuracy {
    /// Its name in logs. Default `categorical_accuracy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type it computes in.
    #[serde(skip_serializing)]
    pub dtype: Float32,
}

accuracy_metric!(CategoricalAccuracy = "categorical_accuracy" {});

impl SampleValues for CategoricalAccuracy {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let labels = argmax(&y_true.to_dtype(y_pred.dtype())?)?;
        Ok(argmax_hits(&labels, &y_pred)?.into())
    }
}
