//! The linear correlation of targets and predictions.

use super::{SampleValues, averaged_metric};
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Config, Result, Tensor};

/// Pearson's correlation coefficient over an axis: `mean(t p) / (std(t) std(p))` of what remains of
/// y_true and y_pred without their means; 0 where one of them is constant (where Keras gives NaN).
/// y_true and y_pred `[batch, .., d]`. Keras's `PearsonCorrelation`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct PearsonCorrelation {
    /// The axis of the samples of the correlation.
    #[config(default = -1)]
    pub axis: i64,
    /// Its name in logs; left out, `pearson_correlation`.
    #[config(skip_none)]
    pub name: Option<String>,
}

averaged_metric!(PearsonCorrelation, Max {});

impl SampleValues for PearsonCorrelation {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let axis = shapes::axis_of(self.axis, y_pred.rank())?;
        let y_true = y_true.to_dtype(y_pred.dtype())?;
        let (t, p) = (centered(&y_true, axis)?, centered(&y_pred, axis)?);
        let both = (t.sqr()?.mean(axis)? * p.sqr()?.mean(axis)?)?.sqrt()?;
        let constant = both.eq(0.0)?.to_dtype(both.dtype())?;
        Ok(((t * p)?.mean(axis)? / (both + constant)?)?.into())
    }
}

/// Values less their mean over an axis.
pub(super) fn centered(x: &Tensor, axis: usize) -> Result<Tensor> {
    Ok(x.broadcast_sub(&x.mean_keepdim(axis)?)?)
}
