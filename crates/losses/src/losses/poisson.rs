//! Poisson loss: for counts.

use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Result, Tensor};
use sconce_ops::losses::mean_loss;

/// The mean of `y_pred - y_true ln(y_pred + 1e-7)` over the last axis: predictions are rates of counts.
/// y_true and y_pred `[batch, .., d]`, values `[batch, ..]`. Keras's `Poisson`.
///
/// Rates are not negative: end the model in a softplus or exponential activation.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct Poisson {
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `poisson`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for Poisson {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        Ok(mean_loss(sconce_ops::losses::Poisson, &y_true, &y_pred)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
