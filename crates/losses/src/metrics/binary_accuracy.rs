//! How often predictions are on the right side of a threshold.

use super::{MetricFn, SampleValues, averaged_metric};
use crate::losses::{Outputs, PerSample};
use crate::shapes;
use sconce_core::{Config, Result, Tensor};

/// The part of values with `(y_pred > threshold) == y_true`. Targets 0 or 1; both `[batch, ..]`.
/// Keras's `BinaryAccuracy`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct BinaryAccuracy {
    /// What counts as true is above it. Left out it is 0.5, or, for logits of a loss whose
    /// `from_logits` was left out too, 0 (a probability of 0.5).
    #[config(skip_none, range = "(-inf, inf)")]
    pub threshold: Option<f64>,
    /// Its name in logs; left out, `binary_accuracy`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl BinaryAccuracy {
    /// The threshold for outputs when it was left out.
    pub(crate) fn threshold_for(outputs: &Outputs<'_>) -> f64 {
        if outputs.logits && outputs.inferred { 0.0 } else { 0.5 }
    }
}

averaged_metric!(BinaryAccuracy, Max {
    fn resolve(&self, name: &str, outputs: &Outputs<'_>) -> Option<MetricFn> {
        let threshold = Some(Self::threshold_for(outputs));
        let name = Some(name.to_string());
        self.threshold.is_none().then(|| Self { threshold, name }.into())
    }
});

impl SampleValues for BinaryAccuracy {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let above = y_pred.gt(self.threshold.unwrap_or(0.5))?.to_dtype(y_pred.dtype())?;
        let hits = above.eq(&y_true.to_dtype(y_pred.dtype())?)?;
        Ok(hits.to_dtype(y_pred.dtype())?.into())
    }
}
