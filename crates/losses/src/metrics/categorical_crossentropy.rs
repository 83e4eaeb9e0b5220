//! Categorical crossentropy as a metric.

use super::crossentropy::crossentropy_metric;
use crate::dtype::Float32;
use crate::losses::{self, Loss};
use sconce_core::{Dims, Result, Tensor};
use serde::{Deserialize, Serialize};

/// The mean of the loss [`losses::CategoricalCrossentropy`]. Keras's metric `CategoricalCrossentropy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CategoricalCrossentropy {
    /// Whether predictions are logits. Left out: as the loss takes them, or, if it does not say, as
    /// the model's last layer tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_logits: Option<bool>,
    /// Moves targets towards all classes alike. Default 0.
    pub label_smoothing: f64,
    /// The axis of the classes. Default -1.
    pub axis: i64,
    /// Its name in logs. Default `categorical_crossentropy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type it computes in.
    #[serde(skip_serializing)]
    pub dtype: Float32,
}

impl Default for CategoricalCrossentropy {
    fn default() -> Self {
        Self { from_logits: None, label_smoothing: 0.0, axis: -1, name: None, dtype: Float32 }
    }
}

impl CategoricalCrossentropy {
    fn loss(&self) -> losses::CategoricalCrossentropy {
        losses::CategoricalCrossentropy {
            from_logits: self.from_logits,
            label_smoothing: self.label_smoothing,
            axis: self.axis,
            ..Default::default()
        }
    }
}

crossentropy_metric!(CategoricalCrossentropy, "categorical_crossentropy");
