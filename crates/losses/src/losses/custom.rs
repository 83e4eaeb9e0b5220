//! Losses of your own from closures.

use super::{Loss, LossFn, PerSample};
use crate::shapes;
use sconce_core::{Result, Tensor};
use std::sync::Arc;

/// A loss of your own: `values(y_true, y_pred)` gives the loss of each sample, `[batch]` (or
/// `[batch, ..]`), in plain candle code. It is masked, weighted and averaged as Keras's are; targets
/// `[batch]` come as `[batch, 1]` where the predictions are.
///
/// Files hold it by its name, as Keras writes a function; to load its compile state again, register
/// the loss under that name in [`CustomObjects`](sconce_core::CustomObjects).
///
/// ```
/// use sconce_losses::losses::custom_loss;
///
/// let quartic = custom_loss("quartic", |y_true, y_pred| Ok((y_true - y_pred)?.powf(4.0)?.mean(1)?));
/// # assert_eq!(quartic.name(), "quartic");
/// ```
pub fn custom_loss(
    name: &str,
    values: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> LossFn {
    LossFn::function(name, Arc::new(Custom { name: name.to_string(), values }))
}

struct Custom<F> {
    name: String,
    values: F,
}

impl<F: Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync> Loss for Custom<F> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
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

    fn tensor(values: [[f32; 2]; 2]) -> Tensor {
        Tensor::new(&values, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_closure_is_a_loss() {
        let quartic = custom_loss("quartic", |t, p| Ok((t - p)?.powf(4.0)?.mean(1)?));
        let (t, p) = (tensor([[1., 2.], [3., 4.]]), tensor([[2., 2.], [3., 6.]]));
        let loss = quartic.get().unwrap();
        let value = |loss: Tensor| loss.to_scalar::<f32>().unwrap();
        assert_eq!(value(loss.call(&t, &p).unwrap()), (0.5 + 8.0) / 2.0);
        let weight = Tensor::new(&[2f32, 0.], &Device::Cpu).unwrap();
        assert_eq!(value(loss.call_weighted(&t, &p, Some(&weight)).unwrap()), 0.5);
        assert_eq!(quartic.to_json().unwrap()["config"], "quartic");
    }

    #[test]
    fn a_closure_that_gives_no_value_for_a_sample_is_refused() {
        let total = custom_loss("total", |t, p| Ok((t - p)?.sqr()?.sum_all()?));
        let x = tensor([[1., 2.], [3., 4.]]);
        let error = total.get().unwrap().call(&x, &x).unwrap_err().to_string();
        assert!(error.contains("`total`") && error.contains("a value for each sample"), "{error}");
    }
}
