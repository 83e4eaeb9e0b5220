//! Binary crossentropy as a metric.

use super::crossentropy::crossentropy_metric;
use crate::dtype::Float32;
use crate::losses::{self, Loss};
use sconce_core::{Dims, Result, Tensor};
use serde::{Deserialize, Serialize};

/// The mean of the loss [`losses::BinaryCrossentropy`]. Keras's metric `BinaryCrossentropy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BinaryCrossentropy {
    /// Whether predictions are logits. Left out: as the loss takes them, or, if it does not say, as
    /// the model's last layer tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_logits: Option<bool>,
    /// Moves targets towards one half. Default 0.
    pub label_smoothing: f64,
    /// Its name in logs. Default `binary_crossentropy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type it computes in.
    #[serde(skip_serializing)]
    pub dtype: Float32,
}

impl Default for BinaryCrossentropy {
    fn default() -> Self {
        Self { from_logits: None, label_smoothing: 0.0, name: None, dtype: Float32 }
    }
}

impl BinaryCrossentropy {
    fn loss(&self) -> losses::BinaryCrossentropy {
        losses::BinaryCrossentropy {
            from_logits: self.from_logits,
            label_smoothing: self.label_smoothing,
            ..Default::default()
        }
    }
}

crossentropy_metric!(BinaryCrossentropy, "binary_crossentropy");
