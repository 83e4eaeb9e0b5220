//! Categorical crossentropy: for targets that are a distribution over classes, such as one-hot rows.

use super::crossentropy::{classes_axis, logits_of_the_model, over_classes};
use super::{Loss, LossFn, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Dims, Result, Tensor};
use sconce_ops::losses::Target;

/// `-sum(t ln(p))` over `axis`. y_true and y_pred `[batch, .., classes]`, values `[batch, ..]`.
/// Keras's `CategoricalCrossentropy`.
///
/// Probabilities are divided by their sum and clipped to 1e-7..1 - 1e-7. From logits, softmax and
/// logarithm are one operation, which does not overflow.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct CategoricalCrossentropy {
    /// Whether predictions are logits. Left out: they are, unless the compiled model ends in a
    /// softmax or sigmoid.
    pub from_logits: Option<bool>,
    /// Label smoothing `s`: targets `t` become `t (1 - s) + s / classes`.
    #[config(default = 0.0, range = "[0, 1]")]
    pub label_smoothing: f64,
    /// The axis of the classes.
    #[config(default = -1)]
    pub axis: i64,
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `categorical_crossentropy`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for CategoricalCrossentropy {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = smoothed(y_true, y_pred, self.label_smoothing, self.axis)?;
        let target = Target::Weights(y_true.contiguous()?);
        Ok(over_classes(target, &y_pred, self.from_logits)?.into())
    }

    fn values_dims(&self, y_pred: &Dims) -> Result<Dims> {
        shapes::without(y_pred, self.axis)
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        classes_axis(&Loss::name(self), self.axis, y_pred)?;
        if y_pred.fits(y_true) {
            return Ok(());
        }
        shapes::check_aligned(&Loss::name(self), name, y_true, y_pred)
    }

    logits_of_the_model!();
}

/// Targets and predictions with the axis of the classes moved to the end, the targets smoothed.
pub(super) fn smoothed(
    y_true: &Tensor,
    y_pred: &Tensor,
    label_smoothing: f64,
    axis: i64,
) -> Result<(Tensor, Tensor)> {
    let mut y_true = y_true.to_dtype(y_pred.dtype())?;
    if label_smoothing != 0.0 {
        // Keras counts the classes on the last axis, whatever `axis` says.
        let classes = y_true.dim(candle_core::D::Minus1)? as f64;
        y_true = y_true.affine(1.0 - label_smoothing, label_smoothing / classes)?;
    }
    let axis = shapes::axis_of(axis, y_pred.rank())?;
    Ok((shapes::to_last(&y_true, axis)?, shapes::to_last(y_pred, axis)?))
}
