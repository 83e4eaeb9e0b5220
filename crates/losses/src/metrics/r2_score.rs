//! The coefficient of determination.

use super::totals::{Sums, totalled, wide};
use super::{Goal, Metric, MetricState};
use crate::losses::reduce::weigh;
use crate::shapes;
use sconce_core::{Config, ConfigValue, Dims, Error, Result, Tensor};

/// How the scores of the columns are averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ConfigValue)]
pub enum ClassAggregation {
    /// Their mean.
    UniformAverage,
    /// Their mean weighted by the variance of the targets.
    VarianceWeightedAverage,
}

/// `1 - sum((y_true - y_pred)^2) / sum((y_true - mean(y_true))^2)` of each column, y_true and y_pred
/// `[batch, columns]`: 1 for exact predictions, 0 for those no better than the mean. A column of equal
/// targets has 0, or 1 if it is predicted exactly (where Keras gives NaN). Keras's `R2Score`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct R2Score {
    /// How the columns are averaged; `null`: not at all, so that there is a value for each, of which logs
    /// hold the mean.
    #[config(default = Some(ClassAggregation::UniformAverage))]
    pub class_aggregation: Option<ClassAggregation>,
    /// The number of independent regressors, for the adjusted score
    /// `1 - (1 - r2) (n - 1) / (n - num_regressors - 1)`. As in Keras, n is the number of all targets, and
    /// the score is not adjusted where that divisor is not positive.
    #[config(default = 0)]
    pub num_regressors: usize,
    /// Its name in logs; left out, `r2_score`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Metric for R2Score {
    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "r2_score".to_string())
    }

    fn goal(&self) -> Option<Goal> {
        Some(Goal::Max)
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        if y_pred.rank() != 2 {
            return Err(Error::data(format!(
                "the model's output is {y_pred}; r2_score takes targets and outputs of shape [batch, columns]"
            )));
        }
        shapes::check_aligned("r2_score", name, y_true, y_pred)
    }

    fn new_state(&self) -> Box<dyn MetricState> {
        totalled(self.clone())
    }
}

impl Sums for R2Score {
    /// Rows: targets, their squares, squared errors, weights, the number of targets in a batch.
    fn sums(
        &self,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let (y_true, y_pred) = (wide(&y_true)?, wide(&y_pred)?);
        let weight = weigh(y_true.ones_like()?.into(), sample_weight)?;
        let rows = [
            (&y_true * &weight)?,
            (y_true.sqr()? * &weight)?,
            ((&y_true - &y_pred)?.sqr()? * &weight)?,
            weight,
        ];
        let mut rows =
            rows.iter().map(|row| row.sum(0)).collect::<candle_core::Result<Vec<_>>>()?;
        let count = y_true.elem_count() as f64;
        rows.push(Tensor::full(count, y_true.dim(1)?, y_true.device())?.to_dtype(y_true.dtype())?);
        Ok(Tensor::stack(&rows, 0)?)
    }

    fn finish(&self, sums: &[Vec<f64>]) -> Vec<f64> {
        let [sum, squares, residuals, weights, counts] = sums else { return vec![0.0] };
        let column = |i: usize| {
            let at = |row: &Vec<f64>| row.get(i).copied().unwrap_or(0.0);
            let (sum, squares, residual, weight) =
                (at(sum), at(squares), at(residuals), at(weights));
            let total = if weight == 0.0 { 0.0 } else { squares - sum * sum / weight };
            // What rounding leaves of equal targets.
            let equal = total.abs() <= 1e-13 * squares.abs();
            match (equal, residual == 0.0) {
                (false, _) => (total, 1.0 - residual / total),
                (true, true) if weight != 0.0 => (0.0, 1.0),
                (true, _) => (0.0, 0.0),
            }
        };
        let columns: Vec<(f64, f64)> = (0..sum.len()).map(column).collect();
        let variance: f64 = columns.iter().map(|(total, _)| total).sum();
        let mean = || columns.iter().map(|(_, r2)| r2).sum::<f64>() / columns.len().max(1) as f64;
        let scores = match self.class_aggregation {
            None => columns.iter().map(|(_, r2)| *r2).collect(),
            Some(ClassAggregation::VarianceWeightedAverage) if variance != 0.0 => {
                vec![columns.iter().map(|(total, r2)| total * r2).sum::<f64>() / variance]
            }
            Some(_) => vec![mean()],
        };
        let n = counts.first().copied().unwrap_or(0.0);
        let divisor = n - self.num_regressors as f64 - 1.0;
        if self.num_regressors == 0 || divisor <= 0.0 {
            return scores;
        }
        scores.into_iter().map(|r2| 1.0 - (1.0 - r2) * (n - 1.0) / divisor).collect()
    }
}
