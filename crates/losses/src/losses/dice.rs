//! Dice loss: the overlap of two sets, for segmentation.

use super::overlap;
use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Axes, Config, Dims, Result, Tensor};
use sconce_ops::losses::EPSILON;

/// `1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred) + 1e-7)`, the sums over `axis`. y_true and y_pred
/// of one shape; the values have it without these axes, so that all of a batch is one value if `axis` is
/// left out. Keras's `Dice`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct Dice {
    /// The axes of the sums; left out, all of them.
    pub axis: Option<Axes>,
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `dice`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for Dice {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let y_true = y_true.to_dtype(y_pred.dtype())?;
        let sum = |x: &Tensor| overlap::sum(x, self.axis.as_ref());
        let both = (sum(&(&y_true * &y_pred)?)? * 2.0)?;
        let total = ((sum(&y_true)? + sum(&y_pred)?)? + EPSILON)?;
        Ok((1.0 - (both / total)?)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn values_dims(&self, y_pred: &Dims) -> Result<Dims> {
        overlap::values_dims(self.axis.as_ref(), y_pred)
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        overlap::values_dims(self.axis.as_ref(), y_pred)?;
        shapes::check_aligned(&Loss::name(self), name, y_true, y_pred)
    }
}
