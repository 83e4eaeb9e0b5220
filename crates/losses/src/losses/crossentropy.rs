//! "crossentropy": the one of the three that the shapes call for.

use super::{
    BinaryCrossentropy, CategoricalCrossentropy, Loss, LossFn, Outputs, PerSample,
    SparseCategoricalCrossentropy,
};
use sconce_core::{Dims, Error, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Keras's `"crossentropy"` or `"ce"`: [`BinaryCrossentropy`] for one output, else
/// [`SparseCategoricalCrossentropy`] for targets without an axis of classes, else
/// [`CategoricalCrossentropy`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crossentropy {}

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
