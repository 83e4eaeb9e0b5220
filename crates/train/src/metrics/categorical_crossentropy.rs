//! Categorical crossentropy as a metric.

use super::{Metric, MetricFn, Running, SampleValues, averaged};
use crate::dtype::Float32;
use crate::losses::{self, Loss, Outputs, PerSample};
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
    /// Says whether predictions are logits.
    pub fn from_logits(mut self, from_logits: bool) -> Self {
        self.from_logits = Some(from_logits);
        self
    }

    fn loss(&self) -> losses::CategoricalCrossentropy {
        losses::CategoricalCrossentropy {
            from_logits: self.from_logits,
            label_smoothing: self.label_smoothing,
            axis: self.axis,
            ..Default::default()
        }
    }
}

impl Metric for CategoricalCrossentropy {
    fn check(&self) -> Result<()> {
        self.loss().check()
    }

    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "categorical_crossentropy".to_string())
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

impl SampleValues for CategoricalCrossentropy {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        self.loss().per_sample(y_true, y_pred)
    }
}
