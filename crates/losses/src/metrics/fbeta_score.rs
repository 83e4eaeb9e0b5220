//! The weighted harmonic mean of precision and recall.

use super::f_score::{Average, check_shape, counts, score};
use super::totals::{Sums, totalled};
use super::{Goal, Metric, MetricState};
use sconce_core::{Config, Dims, Result, Tensor};

/// `(1 + beta^2) precision recall / (beta^2 precision + recall)` of each class. Targets (0 or 1) and
/// predictions `[batch, classes]`. Keras's `FBetaScore`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct FBetaScore {
    /// How the classes are averaged. Left out, there is a value for each, of which logs hold the mean.
    pub average: Option<Average>,
    /// How much more recall counts than precision.
    #[config(default = 1.0, range = "(0, inf)")]
    pub beta: f64,
    /// What is above it counts as positive. Left out, the largest prediction of a row does.
    #[config(range = "(0, 1]")]
    pub threshold: Option<f64>,
    /// Its name in logs; left out, `fbeta_score`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Metric for FBetaScore {
    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "fbeta_score".to_string())
    }

    fn goal(&self) -> Option<Goal> {
        Some(Goal::Max)
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        check_shape("fbeta_score", name, y_true, y_pred)
    }

    fn new_state(&self) -> Box<dyn MetricState> {
        totalled(self.clone())
    }
}

impl Sums for FBetaScore {
    fn sums(
        &self,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<Tensor> {
        counts(y_true, y_pred, sample_weight, self.threshold)
    }

    fn finish(&self, sums: &[Vec<f64>]) -> Vec<f64> {
        score(sums, self.average, self.beta)
    }
}
