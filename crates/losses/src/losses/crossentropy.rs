//! "crossentropy": the one of the three that the shapes call for.

use super::{
    BinaryCrossentropy, CategoricalCrossentropy, Loss, LossFn, Outputs, PerSample,
    SparseCategoricalCrossentropy,
};
use crate::shapes;
use sconce_core::{Config, DType, Dims, Error, Result, Tensor};
use sconce_ops::Operation;
use sconce_ops::losses::{ProbabilityCrossentropy, SoftmaxCrossentropy, Target};

/// Keras's `"crossentropy"` or `"ce"`: [`BinaryCrossentropy`] for one output, else
/// [`SparseCategoricalCrossentropy`] for targets without an axis of classes, else
/// [`CategoricalCrossentropy`].
#[derive(Clone, Debug, Config)]
#[config(name = "crossentropy")]
pub struct Crossentropy {}

/// The methods of `Loss` that are the same for every loss with a field `from_logits: Option<bool>`.
macro_rules! logits_of_the_model {
    () => {
        fn takes_logits(&self) -> Option<Option<bool>> {
            Some(self.from_logits)
        }

        fn resolve(&self, outputs: &$crate::losses::Outputs<'_>) -> Result<Option<LossFn>> {
            let resolved = || self.clone().from_logits(outputs.logits).into();
            Ok(self.from_logits.is_none().then(resolved))
        }
    };
}
pub(super) use logits_of_the_model;

/// The crossentropy of predictions `[batch, .., classes]`; `from_logits` left out means logits.
pub(super) fn over_classes(
    target: Target,
    y_pred: &Tensor,
    from_logits: Option<bool>,
) -> Result<Tensor> {
    Ok(match from_logits.unwrap_or(true) {
        true => SoftmaxCrossentropy::new(target).apply(&[y_pred])?,
        false => ProbabilityCrossentropy::new(target).apply(&[y_pred])?,
    })
}

/// The axis of the classes, counted from the front. One class is refused: its crossentropy is 0.
pub(super) fn classes_axis(loss: &str, axis: i64, y_pred: &Dims) -> Result<usize> {
    let axis = shapes::axis_of(axis, y_pred.rank())?;
    if y_pred.0.get(axis) != Some(&Some(1)) {
        return Ok(axis);
    }
    Err(Error::data(format!(
        "the model's output is {y_pred}; {loss} of one class is always 0. For two classes with one \
         output use binary_crossentropy"
    )))
}

/// Class indices, I64, of the shape of predictions `[batch, .., classes]` without their last axis.
pub(super) fn labels_like(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let front = y_pred.dims().split_last().map_or(&[][..], |(_, front)| front);
    let labels = shapes::labels(y_true)?;
    match labels.dims() == front {
        true => Ok(labels),
        false => Ok(labels.reshape(front)?),
    }
}

/// Refuses labels that are no class; `ignored` is allowed.
pub(super) fn check_labels(
    name: &str,
    y_true: &Tensor,
    y_pred: &Dims,
    axis: i64,
    ignored: Option<i64>,
) -> Result<()> {
    let axis = shapes::axis_of(axis, y_pred.rank())?;
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
    match labels.iter().position(|label| Some(*label) != ignored && !ok(*label)) {
        Some(at) => refuse(at, labels.get(at).copied().unwrap_or_default().to_string()),
        None => Ok(()),
    }
}

/// What targets mean, by their shape and that of the predictions (Keras's
/// `is_binary_or_sparse_categorical`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetKind {
    Binary,
    Sparse,
    Categorical,
}

impl TargetKind {
    pub(crate) fn of(y_true: &[usize], y_pred: &Dims) -> Self {
        let last = y_pred.0.last().copied().flatten();
        match last {
            Some(1) => Self::Binary,
            _ if y_true.len() < y_pred.rank() || y_true.last() == Some(&1) => Self::Sparse,
            _ => Self::Categorical,
        }
    }
}

impl Loss for Crossentropy {
    fn per_sample(&self, _y_true: &Tensor, _y_pred: &Tensor) -> Result<PerSample> {
        Err(undecided())
    }

    fn check_shape(&self, _name: &str, _y_true: &[usize], _y_pred: &Dims) -> Result<()> {
        Err(undecided())
    }

    fn takes_logits(&self) -> Option<Option<bool>> {
        Some(None)
    }

    fn resolve(&self, outputs: &Outputs<'_>) -> Result<Option<LossFn>> {
        let logits = outputs.logits;
        Ok(outputs.y_true.map(|y_true| match TargetKind::of(y_true, outputs.y_pred) {
            TargetKind::Binary => BinaryCrossentropy::new().from_logits(logits).into(),
            TargetKind::Sparse => SparseCategoricalCrossentropy::new().from_logits(logits).into(),
            TargetKind::Categorical => CategoricalCrossentropy::new().from_logits(logits).into(),
        }))
    }
}

fn undecided() -> Error {
    Error::config(
        "",
        "`crossentropy` is decided by `fit` from the shapes of the data; in a loop of your own name \
         binary_crossentropy, categorical_crossentropy or sparse_categorical_crossentropy",
    )
}
