//! Metrics of your own from closures.

use super::{Metric, MetricFn, MetricState, SampleValues, averaged};
use crate::losses::PerSample;
use crate::shapes;
use sconce_core::{Result, Tensor};
use std::sync::Arc;

/// A metric of your own: the mean over all samples of `values(y_true, y_pred)`, `[batch]` (or
/// `[batch, ..]`), in plain candle code. Targets `[batch]` come as `[batch, 1]` where the predictions
/// are.
///
/// ```
/// use sconce_losses::metrics::{MetricFn, custom_metric};
///
/// let within = custom_metric("within_1", |y_true, y_pred| {
///     let near = (y_true - y_pred)?.abs()?.le(1.0)?;
///     Ok(near.to_dtype(y_pred.dtype())?.mean(1)?)
/// });
/// let metrics: [MetricFn; 2] = ["mae".into(), within];
/// ```
pub fn custom_metric(
    name: &str,
    values: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> MetricFn {
    let values: Arc<Values> = Arc::new(values);
    MetricFn::function(name, Arc::new(Custom { name: name.to_string(), values }))
}

type Values = dyn Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync;

#[derive(Clone)]
struct Custom {
    name: String,
    values: Arc<Values>,
}

impl Metric for Custom {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn new_state(&self) -> Box<dyn MetricState> {
        averaged(self.clone())
    }
}

impl SampleValues for Custom {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let values = (self.values)(&y_true, &y_pred)?;
        shapes::check_per_sample(&self.name, &values, &y_pred)?;
        Ok(values.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_core::Device;

    #[test]
    fn a_closure_is_a_metric() {
        let largest = custom_metric("largest", |t, p| Ok((t - p)?.abs()?.max(1)?));
        let mut state = largest.get().unwrap().new_state();
        let column = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        let p = column(&[1., 2., 4.]).unsqueeze(1).unwrap();
        let weight = column(&[1., 0., 3.]);
        state.update(&column(&[1., 1., 1.]), &p, None).unwrap();
        assert!((state.result().unwrap() - 4.0 / 3.0).abs() < 1e-6);
        state.reset();
        state.update(&column(&[1., 1., 1.]), &p, Some(&weight)).unwrap();
        assert!((state.result().unwrap() - 9.0 / 4.0).abs() < 1e-6);
    }
}
