//! Sparse categorical crossentropy: `-ln(p_label)`, for labels that are class indices.

use super::crossentropy::{
    check_labels, classes_axis, labels_like, logits_of_the_model, over_classes,
};
use super::{Loss, LossFn, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, DType, Dims, Result, Tensor};
use sconce_ops::losses::Target;

/// `-ln(p_label)`. Labels `[batch, ..]` (or `[batch, .., 1]`), predictions `[batch, .., classes]`,
/// values `[batch, ..]`. Keras's `SparseCategoricalCrossentropy`.
///
/// Probabilities are divided by their sum and clipped to 1e-7..1 - 1e-7. From logits, softmax and
/// logarithm are one operation, which does not overflow.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct SparseCategoricalCrossentropy {
    /// Whether predictions are logits. Left out: they are, unless the compiled model ends in a
    /// softmax or sigmoid.
    pub from_logits: Option<bool>,
    /// A label whose samples are excluded from the loss and from its mean.
    pub ignore_class: Option<i64>,
    /// The axis of the classes. Keras does not write it.
    #[config(default = -1, skip_default)]
    pub axis: i64,
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `sparse_categorical_crossentropy`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for SparseCategoricalCrossentropy {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let y_pred = shapes::to_last(y_pred, shapes::axis_of(self.axis, y_pred.rank())?)?;
        let labels = labels_like(y_true, &y_pred)?;
        let mask = match self.ignore_class {
            Some(label) => Some(labels.ne(label)?.to_dtype(y_pred.dtype())?),
            None => None,
        };
        let target = Target::Labels { labels, ignored: self.ignore_class };
        let values = over_classes(target, &y_pred, self.from_logits)?;
        Ok(PerSample { values, mask })
    }

    fn values_dims(&self, y_pred: &Dims) -> Result<Dims> {
        shapes::without(y_pred, self.axis)
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        let what = Loss::name(self);
        let axis = classes_axis(&what, self.axis, y_pred)?;
        shapes::check_labels_shape(&what, name, y_true, y_pred, axis)
    }

    fn check_values(&self, name: &str, y_true: &Tensor, y_pred: &Dims) -> Result<()> {
        check_labels(name, y_true, y_pred, self.axis, self.ignore_class)
    }

    fn target_dtype(&self) -> DType {
        DType::I64
    }

    logits_of_the_model!();
}
