//! The agreement of targets and predictions.

use super::pearson_correlation::centered;
use super::{SampleValues, averaged_metric};
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Config, Result, Tensor};
use sconce_ops::losses::EPSILON;

/// Lin's concordance correlation over an axis: `2 cov(t, p) / (var(t) + var(p) + (mean(t) - mean(p))^2)`.
/// y_true and y_pred `[batch, .., d]`. Keras's `ConcordanceCorrelation`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct ConcordanceCorrelation {
    /// The axis of the samples of the correlation.
    #[config(default = -1)]
    pub axis: i64,
    /// Its name in logs; left out, `concordance_correlation`.
    #[config(skip_none)]
    pub name: Option<String>,
}

averaged_metric!(ConcordanceCorrelation, Max {});

impl SampleValues for ConcordanceCorrelation {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let axis = shapes::axis_of(self.axis, y_pred.rank())?;
        let y_true = y_true.to_dtype(y_pred.dtype())?;
        let (t, p) = (centered(&y_true, axis)?, centered(&y_pred, axis)?);
        let means = (y_true.mean(axis)? - y_pred.mean(axis)?)?;
        let norm = ((t.sqr()?.mean(axis)? + p.sqr()?.mean(axis)?)? + means.sqr()?)?;
        let covariance = ((t * p)?.mean(axis)? * 2.0)?;
        Ok((covariance / (norm + EPSILON)?)?.into())
    }
}
