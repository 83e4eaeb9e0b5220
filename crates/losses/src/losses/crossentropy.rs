//! "crossentropy": the one of the three that the shapes call for.

use super::{
    BinaryCrossentropy, CategoricalCrossentropy, Loss, LossFn, Outputs, PerSample,
    SparseCategoricalCrossentropy,
};
use crate::shapes;
use sconce_core::{Config, Dims, Error, Result, Tensor};
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
