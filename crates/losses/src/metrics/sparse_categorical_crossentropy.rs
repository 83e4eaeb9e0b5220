//! Sparse categorical crossentropy as a metric.

use super::crossentropy::crossentropy_metric;
use crate::dtype::Float32;
use crate::losses::{self, Loss};
use sconce_core::{Dims, Result, Tensor};
use serde::{Deserialize, Serialize};

/// The mean of the loss [`losses::SparseCategoricalCrossentropy`]. Keras's metric
/// `SparseCategoricalCrossentropy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SparseCategoricalCrossentropy {
    /// Whether predictions are logits. Left out: as the loss takes them, or, if it does not say, as
    /// the model's last layer tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_logits: Option<bool>,
    /// A label whose samples have the value 0; weighted means leave them out.
    pub ignore_class: Option<i64>,
    /// The axis of the classes. Default -1.
    pub axis: i64,
    /// Its name in logs. Default `sparse_categorical_crossentropy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type it computes in.
    #[serde(skip_serializing)]
    pub dtype: Float32,
}

impl Default for SparseCategoricalCrossentropy {
    fn default() -> Self {
        Self { from_logits: None, ignore_class: None, axis: -1, name: None, dtype: Float32 }
    }
}

impl SparseCategoricalCrossentropy {
    fn loss(&self) -> losses::SparseCategoricalCrossentropy {
        losses::SparseCategoricalCrossentropy {
            from_logits: self.from_logits,
            ignore_class: self.ignore_class,
            axis: self.axis,
            ..Default::default()
        }
    }
}

crossentropy_metric!(SparseCategoricalCrossentropy, "sparse_categorical_crossentropy");
