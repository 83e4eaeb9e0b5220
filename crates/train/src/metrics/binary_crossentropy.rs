//! Binary crossentropy as a metric.

use super::{Metric, MetricFn, Running, SampleValues, averaged};
use crate::dtype::Float32;
use crate::losses::{self, Loss, Outputs, PerSample};
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
    /// Says whether predictions are logits.
    pub fn from_logits(mut self, from_logits: bool) -> Self {
        self.from_logits = Some(from_logits);
        self
    }

    fn loss(&self) -> losses::BinaryCrossentropy {
        losses::BinaryCrossentropy {
            from_logits: self.from_logits,
            label_smoothing: self.label_smoothing,
            ..Default::default()
        }
    }
}

impl Metric for BinaryCrossentropy {
    fn check(&self) -> Result<()> {
        self.loss().check()
    }

    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "binary_crossentropy".to_string())
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        self.loss().check_shape(name, y_true, y_pred)
    }

    fn resolve(&self, name: &str, outputs: &Outputs<'_>) -> Option<MetricFn> {
        let (from_logits, name) = (Some(outputs.logits), Some(name.to_string()));
        self.from_logits.is_none().then(|| Self { from_logits, name, ..self.clone() }.into())
    }

    fn start(&self) -> Box<dyn Running> {
        averaged(self.clone())
    }
}

impl SampleValues for BinaryCrossentropy {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        self.loss().per_sample(y_true, y_pred)
    }
}
