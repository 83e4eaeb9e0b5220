//! The harmonic mean of precision and recall.

use super::f_score::{Average, check_shape, counts, score};
use super::totals::{Sums, totalled};
use super::{Goal, Metric, MetricState};
use sconce_core::{Config, Dims, Result, Tensor};

/// `2 precision recall / (precision + recall)` of each class. Targets (0 or 1) and predictions
/// `[batch, classes]`. Keras's `F1Score`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct F1Score {
    /// How the classes are averaged. Left out, there is a value for each, of which logs hold the mean.
    pub average: Option<Average>,
    /// What is above it counts as positive. Left out, the largest prediction of a row does.
    #[config(range = "(0, 1]")]
    pub threshold: Option<f64>,
    /// Its name in logs; left out, `f1_score`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Metric for F1Score {
    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "f1_score".to_string())
    }

    fn goal(&self) -> Option<Goal> {
        Some(Goal::Max)
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        check_shape("f1_score", name, y_true, y_pred)
    }

    fn new_state(&self) -> Box<dyn MetricState> {
        totalled(self.clone())
    }
}

impl Sums for F1Score {
    fn sums(
        &self,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<Tensor> {
        counts(y_true, y_pred, sample_weight, self.threshold)
    }

    fn finish(&self, sums: &[Vec<f64>]) -> Vec<f64> {
        score(sums, self.average, 1.0)
    }
}
