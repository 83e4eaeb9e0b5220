//! Sparse categorical crossentropy: `-ln(p_label)`, for labels that are class indices.

use super::{Loss, LossFn, Outputs, PerSample, Reduction, common_builders};
use crate::dtype::Float32;
use crate::shapes;
use sconce_core::{DType, Dims, Error, Result, Tensor};
use sconce_ops::Operation;
use sconce_ops::losses::{ProbabilityCrossentropy, SoftmaxCrossentropy, Target};
use serde::{Deserialize, Serialize};

/// `-ln(p_label)`. Labels `[batch, ..]` (or `[batch, .., 1]`), predictions `[batch, .., classes]`,
/// values `[batch, ..]`. Keras's `SparseCategoricalCrossentropy`.
///
/// Probabilities are divided by their sum and clipped to 1e-7..1 - 1e-7. From logits, softmax and
/// logarithm are one operation, which does not overflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SparseCategoricalCrossentropy {
    /// Whether predictions are logits. Left out: they are, unless the compiled model ends in a
    /// softmax or sigmoid.
    pub from_logits: Option<bool>,
    /// A label whose samples are excluded from the loss and from its mean.
    pub ignore_class: Option<i64>,
    /// The axis of the classes. Default -1.
    #[serde(skip_serializing_if = "is_last")]
    pub axis: i64,
    /// How the values of a batch are reduced to one. Default `sum_over_batch_size`.
    pub reduction: Reduction,
    /// Its name. Default `sparse_categorical_crossentropy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type it computes in.
    #[serde(skip_serializing)]
    pub dtype: Float32,
}

/// Keras does not write this loss's axis.
fn is_last(axis: &i64) -> bool {
    *axis == -1
}

common_builders!(SparseCategoricalCrossentropy);

impl Default for SparseCategoricalCrossentropy {
    fn default() -> Self {
        Self {
            from_logits: None,
            ignore_class: None,
            axis: -1,
            reduction: Reduction::default(),
            name: None,
            dtype: Float32,
        }
    }
}

impl SparseCategoricalCrossentropy {
    /// Says whether predictions are logits.
    pub fn from_logits(mut self, from_logits: bool) -> Self {
        self.from_logits = Some(from_logits);
        self
    }

    /// Excludes samples with this label.
    pub fn ignore_class(mut self, label: i64) -> Self {
        self.ignore_class = Some(label);
        self
    }

    /// Sets the axis of the classes.
    pub fn axis(mut self, axis: i64) -> Self {
        self.axis = axis;
        self
    }
}

impl Loss for SparseCategoricalCrossentropy {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let y_pred = shapes::to_last(y_pred, shapes::axis_of(self.axis, y_pred.rank())?)?;
        let front = y_pred.dims().split_last().map_or(&[][..], |(_, front)| front);
        let mut labels = shapes::labels(y_true)?;
        if labels.dims() != front {
            labels = labels.reshape(front)?;
        }
        let mask = match self.ignore_class {
            Some(label) => Some(labels.ne(label)?.to_dtype(y_pred.dtype())?),
            None => None,
        };
        let target = Target::Labels { labels, ignored: self.ignore_class };
        let values = match self.from_logits.unwrap_or(true) {
            true => SoftmaxCrossentropy::new(target).apply(&[&y_pred])?,
            false => ProbabilityCrossentropy::new(target).apply(&[&y_pred])?,
        };
        Ok(PerSample { values, mask })
    }

    fn values_dims(&self, y_pred: &Dims) -> Result<Dims> {
        shapes::without(y_pred, self.axis)
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        let axis = shapes::axis_of(self.axis, y_pred.rank())?;
        let what = "sparse_categorical_crossentropy";
        if y_pred.0.get(axis) == Some(&Some(1)) {
            return Err(Error::data(format!(
                "the model's output is {y_pred}; {what} of one class is always 0. For two classes \
                 with one output use binary_crossentropy"
            )));
        }
        shapes::check_labels_shape(what, name, y_true, y_pred, axis)
    }

    fn check_values(&self, name: &str, y_true: &Tensor, y_pred: &Dims) -> Result<()> {
        let axis = shapes::axis_of(self.axis, y_pred.rank())?;
        let Some(classes) = y_pred.0.get(axis).copied().flatten() else { return Ok(()) };
        let rows = y_true.dims().first().copied().unwrap_or(1).max(1);
        let width = (y_true.elem_count() / rows).max(1);
        let refuse = |at: usize, label: String| {
            Err(Error::data(format!(
                "{name} holds the label {label} in row {}, the model has {classes} classes (labels 0 \
                 to {}); fix the labels or the last layer's units",
                at / width,
                classes.saturating_sub(1)
            )))
        };
        let flat = y_true.flatten_all()?;
        if let Some((at, label)) = shapes::not_whole(&flat)? {
            return refuse(at, label);
        }
        let labels = flat.to_dtype(DType::I64)?.to_vec1::<i64>()?;
        let ok = |label: i64| usize::try_from(label).is_ok_and(|label| label < classes);
        match labels.iter().position(|label| Some(*label) != self.ignore_class && !ok(*label)) {
            Some(at) => refuse(at, labels.get(at).copied().unwrap_or_default().to_string()),
            None => Ok(()),
        }
    }

    fn target_dtype(&self) -> DType {
        DType::I64
    }

    fn takes_logits(&self) -> Option<Option<bool>> {
        Some(self.from_logits)
    }

    fn resolve(&self, outputs: &Outputs<'_>) -> Result<Option<LossFn>> {
        let resolved = || self.clone().from_logits(outputs.logits).into();
        Ok(self.from_logits.is_none().then(resolved))
    }
}
