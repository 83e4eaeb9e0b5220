//! Sparse categorical crossentropy: `-ln p_label`, for labels that are class indices.

use super::{Loss, PerSample, Reduction};
use sconce_core::{DType, Dims, Error, Result, Tensor};
use sconce_ops::Operation;
use sconce_ops::losses::{SoftmaxCrossentropy, Target};
use serde::{Deserialize, Serialize};

/// Labels `[batch, ..]` (or `[batch, .., 1]`), predictions `[batch, .., classes]`, values
/// `[batch, ..]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SparseCategoricalCrossentropy {
    /// Whether predictions are logits. Left out: they are, unless the model ends in a softmax or
    /// sigmoid.
    pub from_logits: Option<bool>,
    /// A label whose samples do not count.
    pub ignore_class: Option<i64>,
    /// How the values of a batch become one.
    pub reduction: Reduction,
    /// Name in logs.
    pub name: Option<String>,
}

impl Loss for SparseCategoricalCrossentropy {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let front = y_pred.dims().split_last().map_or(&[][..], |(_, front)| front);
        let labels = y_true.to_dtype(DType::I64)?.reshape(front)?;
        Ok(SoftmaxCrossentropy::new(Target::labels(labels)).apply(&[y_pred])?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn check_dims(&self, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        let Some((_, front)) = y_pred.0.split_last() else {
            return Err(Error::data("the model's output needs an axis of classes"));
        };
        let front = Dims(front.to_vec());
        let squeezed = y_true.split_last().filter(|(last, _)| **last == 1).map(|(_, f)| f);
        if front.fits(y_true) || squeezed.is_some_and(|f| front.fits(f)) {
            return Ok(());
        }
        Err(Error::data(format!(
            "y has shape {y_true:?}, the model's output is {y_pred}; sparse_categorical_crossentropy \
             takes class indices of shape {front}. For one-hot targets use categorical_crossentropy"
        )))
    }

    fn classes(&self, y_pred: &Dims) -> Option<(usize, Option<i64>)> {
        Some((y_pred.last().ok()?, self.ignore_class))
    }

    fn takes_logits(&self) -> Option<Option<bool>> {
        Some(self.from_logits)
    }
}
