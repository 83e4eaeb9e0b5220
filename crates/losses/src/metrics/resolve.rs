//! Metrics from names and shapes, as Keras resolves them.

use super::{BinaryAccuracy, CategoricalAccuracy, MetricFn, SparseCategoricalAccuracy};
use crate::losses::{Outputs, TargetKind};
use sconce_core::Result;

/// The name a metric logs under: the name it was given by, as it was spelt, else its own.
pub fn log_name(metric: &MetricFn) -> Result<String> {
    Ok(match metric.given_name() {
        Some(name) => name.to_string(),
        None => metric.get()?.name(),
    })
}

/// A metric with what was left out filled in: `"accuracy"` becomes binary, sparse or categorical
/// accuracy by the shapes; `from_logits` and thresholds follow the loss. `None` if nothing was left out.
pub fn resolve(
    metric: &MetricFn,
    y_true: &[usize],
    outputs: &Outputs<'_>,
) -> Result<Option<MetricFn>> {
    let name = log_name(metric)?;
    let given = metric.given_name().map(str::to_lowercase);
    if !matches!(given.as_deref(), Some("accuracy" | "acc")) {
        return Ok(metric.get()?.resolve(&name, outputs));
    }
    let name = Some(name);
    Ok(Some(match TargetKind::of(y_true, outputs.y_pred) {
        TargetKind::Binary => {
            let threshold = BinaryAccuracy::threshold_for(outputs);
            BinaryAccuracy { name, threshold: Some(threshold) }.into()
        }
        TargetKind::Sparse => SparseCategoricalAccuracy { name }.into(),
        TargetKind::Categorical => CategoricalAccuracy { name }.into(),
    }))
}
