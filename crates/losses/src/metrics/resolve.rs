//! Metrics from names and shapes, as Keras resolves them.

use super::{BinaryAccuracy, CategoricalAccuracy, MetricFn, SparseCategoricalAccuracy};
use crate::losses::{Outputs, TargetKind};
use sconce_core::Result;
use std::collections::HashMap;

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
            BinaryAccuracy { name, threshold: Some(threshold), ..Default::default() }.into()
        }
        TargetKind::Sparse => SparseCategoricalAccuracy { name, ..Default::default() }.into(),
        TargetKind::Categorical => CategoricalAccuracy { name, ..Default::default() }.into(),
    }))
}

/// Names made unique as Keras does: `accuracy`, `accuracy_1`, and `weighted_accuracy` for a weighted
/// metric whose name is taken.
pub fn unique_names(metrics: &[String], weighted: &[String]) -> Vec<String> {
    let mut used: HashMap<String, usize> = HashMap::new();
    let mut names = Vec::with_capacity(metrics.len() + weighted.len());
    let mut numbered = |name: String| match used.get_mut(&name) {
        Some(count) => {
            *count += 1;
            format!("{name}_{}", *count - 1)
        }
        None => {
            used.insert(name.clone(), 1);
            name
        }
    };
    for name in metrics {
        names.push(numbered(name.clone()));
    }
    for name in weighted {
        let taken = names.contains(name);
        names.push(numbered(if taken { format!("weighted_{name}") } else { name.clone() }));
    }
    names
}
