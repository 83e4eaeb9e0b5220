//! Metrics that are a function of sums over batches.

use super::MetricState;
use super::total::expect_state;
use sconce_core::{DType, Device, Error, Result, Tensor};

/// A metric that is a function of a table of sums.
pub(super) trait Sums: Send + Sync + 'static {
    /// The sums of one batch, `[rows, columns]`, where the predictions are; see [`wide`].
    fn sums(
        &self,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<Tensor>;

    /// The values of the metric for the sums of all batches.
    fn finish(&self, sums: &[Vec<f64>]) -> Vec<f64>;
}

/// The state of a metric that is a function of sums, for [`Metric::new_state`](super::Metric::new_state).
pub(super) fn totalled(metric: impl Sums) -> Box<dyn MetricState> {
    Box::new(Totalled { metric, totals: None })
}

/// A tensor in the type that sums are in: f64 on the CPU, f32 elsewhere.
pub(super) fn wide(x: &Tensor) -> Result<Tensor> {
    Ok(x.detach().to_dtype(if x.device().is_cpu() { DType::F64 } else { DType::F32 })?)
}

/// `a / b`, and 0 where b is 0.
pub(super) fn divide_no_nan(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}

struct Totalled<M> {
    metric: M,
    totals: Option<Tensor>,
}

impl<M: Sums> MetricState for Totalled<M> {
    fn update(
        &mut self,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<()> {
        let sums = self.metric.sums(y_true, y_pred, sample_weight)?;
        self.totals = Some(match &self.totals {
            None => sums,
            Some(totals) if totals.dims() == sums.dims() => {
                (totals.to_device(sums.device())?.to_dtype(sums.dtype())? + sums)?
            }
            Some(totals) => {
                return Err(Error::data(format!(
                    "this batch has sums of shape {:?}, those before it {:?}; all batches of a metric \
                     must have the same last axis",
                    sums.dims(),
                    totals.dims()
                )));
            }
        });
        Ok(())
    }

    fn result(&self) -> Result<f64> {
        let values = self.values()?;
        Ok(values.iter().sum::<f64>() / values.len().max(1) as f64)
    }

    fn values(&self) -> Result<Vec<f64>> {
        match &self.totals {
            None => Ok(vec![0.0]),
            Some(totals) => Ok(self.metric.finish(&totals.to_dtype(DType::F64)?.to_vec2::<f64>()?)),
        }
    }

    fn reset(&mut self) {
        self.totals = None;
    }

    /// No rows before the first batch.
    fn state(&self) -> Result<Vec<Tensor>> {
        Ok(vec![match &self.totals {
            Some(totals) => totals.clone(),
            None => Tensor::zeros((0, 0), DType::F64, &Device::Cpu)?,
        }])
    }

    fn restore(&mut self, state: &[Tensor]) -> Result<()> {
        let [totals] = expect_state(state)?;
        if totals.rank() != 2 || !matches!(totals.dtype(), DType::F64 | DType::F32) {
            return Err(Error::data(format!(
                "the state of this metric is a table of type f64 or f32, found {:?} of shape {:?}",
                totals.dtype(),
                totals.dims()
            )));
        }
        self.totals = (totals.elem_count() > 0).then(|| totals.clone());
        Ok(())
    }
}
