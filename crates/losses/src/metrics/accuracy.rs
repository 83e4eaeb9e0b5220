//! How often predictions equal targets.

use super::{SampleValues, accuracy_metric};
use crate::dtype::Float32;
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// The part of values with `y_pred == y_true`. Both `[batch, ..]`. Keras's `Accuracy`; the name
/// `"accuracy"` means the accuracy that goes with the shapes instead.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Accuracy {
    /// Its name in logs. Default `accuracy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type it computes in.
    #[serde(skip_serializing)]
    pub dtype: Float32,
}

accuracy_metric!(Accuracy = "accuracy" {});

impl SampleValues for Accuracy {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let hits = y_pred.eq(&y_true.to_dtype(y_pred.dtype())?)?;
        Ok(hits.to_dtype(y_pred.dtype())?.into())
    }
}
