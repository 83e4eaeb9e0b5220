//! The logarithm of the hyperbolic cosine of the error.

use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Result, Tensor};
use sconce_ops::losses::mean_loss;

/// The mean of `ln(cosh(y_pred - y_true))` over the last axis: about half the square of small errors,
/// about `|error| - ln(2)` of large ones. y_true and y_pred `[batch, .., d]`, values `[batch, ..]`.
/// Keras's `LogCosh`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct LogCosh {
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `log_cosh`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for LogCosh {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        Ok(mean_loss(sconce_ops::losses::LogCosh, &y_true, &y_pred)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
