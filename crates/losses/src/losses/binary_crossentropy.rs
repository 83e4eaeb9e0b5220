//! Binary crossentropy: for targets that are each true or false.

use super::crossentropy::logits_of_the_model;
use super::{Loss, LossFn, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, DType, Dims, Error, Result, Tensor};
use sconce_ops::losses::{LogitBinaryCrossentropy, mean_loss};

/// `mean(-t ln(p) - (1 - t) ln(1 - p))` over `axis`. y_true (0 to 1) and y_pred `[batch, .., d]`,
/// values `[batch, ..]`; y_true `[batch]` goes with y_pred `[batch, 1]`. Keras's
/// `BinaryCrossentropy`, `"bce"`.
///
/// Probabilities are clipped to 1e-7..1 - 1e-7. From logits z it is computed as
/// `max(z, 0) - z t + ln(1 + e^(-|z|))`, which does not overflow.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct BinaryCrossentropy {
    /// Whether predictions are logits. Left out: they are, unless the compiled model ends in a
    /// softmax or sigmoid.
    pub from_logits: Option<bool>,
    /// Label smoothing `s`: targets `t` become `t (1 - s) + s / 2`.
    #[config(default = 0.0, range = "[0, 1]")]
    pub label_smoothing: f64,
    /// The axis the mean is over.
    #[config(default = -1)]
    pub axis: i64,
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `binary_crossentropy`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for BinaryCrossentropy {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = smoothed(y_true, y_pred, self.label_smoothing, self.axis)?;
        let values = match self.from_logits.unwrap_or(true) {
            true => mean_loss(LogitBinaryCrossentropy, &y_true, &y_pred)?,
            false => mean_loss(sconce_ops::losses::BinaryCrossentropy, &y_true, &y_pred)?,
        };
        Ok(values.into())
    }

    fn values_dims(&self, y_pred: &Dims) -> Result<Dims> {
        shapes::without(y_pred, self.axis)
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        shapes::axis_of(self.axis, y_pred.rank())?;
        shapes::check_aligned(&Loss::name(self), name, y_true, y_pred)
    }

    fn check_values(&self, name: &str, y_true: &Tensor, _y_pred: &Dims) -> Result<()> {
        check_shares(&Loss::name(self), name, y_true)
    }

    logits_of_the_model!();
}

/// Aligned targets and predictions with `axis` moved to the end, the targets smoothed.
pub(super) fn smoothed(
    y_true: &Tensor,
    y_pred: &Tensor,
    label_smoothing: f64,
    axis: i64,
) -> Result<(Tensor, Tensor)> {
    let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
    let mut y_true = y_true.to_dtype(y_pred.dtype())?;
    if label_smoothing != 0.0 {
        y_true = y_true.affine(1.0 - label_smoothing, 0.5 * label_smoothing)?;
    }
    let axis = shapes::axis_of(axis, y_pred.rank())?;
    Ok((shapes::to_last(&y_true, axis)?, shapes::to_last(&y_pred, axis)?))
}

/// Refuses targets outside 0..1.
pub(super) fn check_shares(what: &str, name: &str, y_true: &Tensor) -> Result<()> {
    let values = y_true.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    let width = values.len() / y_true.dims().first().copied().unwrap_or(1).max(1);
    match values.iter().position(|value| !(0.0..=1.0).contains(value)) {
        None => Ok(()),
        Some(at) => Err(Error::data(format!(
            "{name} holds {} in row {}; {what} takes targets from 0 to 1. For more \
             than two classes use sparse_categorical_crossentropy, with a unit for each class",
            values.get(at).copied().unwrap_or_default(),
            at / width.max(1)
        ))),
    }
}
