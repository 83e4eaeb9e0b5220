//! Mean squared logarithmic error: for targets of several orders of magnitude.

use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Result, Tensor};
use sconce_ops::losses::{SquaredLogarithmicError, mean_loss};

/// The mean of `(ln(1 + y_true) - ln(1 + y_pred))^2` over the last axis, both kept above 1e-7. y_true
/// and y_pred `[batch, .., d]`, values `[batch, ..]`. Keras's `MeanSquaredLogarithmicError`, `"msle"`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct MeanSquaredLogarithmicError {
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `mean_squared_logarithmic_error`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for MeanSquaredLogarithmicError {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        Ok(mean_loss(SquaredLogarithmicError, &y_true, &y_pred)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
