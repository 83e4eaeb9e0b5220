//! Tversky loss: the overlap of two sets, with a weight for each kind of error.

use super::overlap;
use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Axes, Config, Dims, Result, Tensor};
use sconce_ops::losses::EPSILON;

/// `1 - both / (both + alpha missed + beta added + 1e-7)` with the sums `both = sum(y_true y_pred)`,
/// `missed = sum(y_true (1 - y_pred))` and `added = sum((1 - y_true) y_pred)` over `axis`. y_true and y_pred of
/// one shape; the values have it without these axes, so that all of a batch is one value if `axis` is left
/// out. With `alpha` and `beta` 0.5 it is [`Dice`](super::Dice). Keras's `Tversky`.
///
/// Salehi, Erdogmus, Gholipour, "Tversky loss function for image segmentation", 2017.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct Tversky {
    /// The weight of what is missed.
    #[config(default = 0.5, range = "[0, inf)")]
    pub alpha: f64,
    /// The weight of what is added.
    #[config(default = 0.5, range = "[0, inf)")]
    pub beta: f64,
    /// The axes of the sums; left out, all of them.
    pub axis: Option<Axes>,
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `tversky`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for Tversky {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let y_true = y_true.to_dtype(y_pred.dtype())?;
        let sum = |x: &Tensor| overlap::sum(x, self.axis.as_ref());
        let both = sum(&(&y_true * &y_pred)?)?;
        let missed = sum(&(&y_true * (1.0 - &y_pred)?)?)?;
        let added = sum(&((1.0 - &y_true)? * &y_pred)?)?;
        let total = ((&both + (missed * self.alpha)?)? + ((added * self.beta)? + EPSILON)?)?;
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
