//! Losses: one file each gives a value per sample; weights, masks and reduction are in [`reduce`]
//! once.

mod mean_squared_error;
pub mod reduce;
mod sparse_categorical_crossentropy;

pub use mean_squared_error::MeanSquaredError;
pub use reduce::Reduction;
pub use sparse_categorical_crossentropy::SparseCategoricalCrossentropy;

use sconce_core::{Dims, Entry, Error, Kind, Part, Result, Tensor, registry};

/// The table of losses.
pub struct Losses;

/// A loss as `compile` takes it: by name, configured, or from JSON.
pub type LossFn = Part<Losses>;

impl Kind for Losses {
    type Object = dyn Loss;
    const NAME: &'static str = "loss";
    const MODULE: &'static str = "keras.losses";
    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }
}

registry! { Losses:
    MeanSquaredError = "MeanSquaredError" ["mean_squared_error", "mse"];
    SparseCategoricalCrossentropy = "SparseCategoricalCrossentropy" ["sparse_categorical_crossentropy"];
}

/// A value for each sample, before weights and reduction.
pub struct PerSample {
    /// The values: the shape of the predictions without their last axis.
    pub values: Tensor,
    /// Where values count (1) or not (0), of the same shape; values that do not count are left out
    /// of means.
    pub mask: Option<Tensor>,
}

impl From<Tensor> for PerSample {
    fn from(values: Tensor) -> Self {
        Self { values, mask: None }
    }
}

/// A loss function.
pub trait Loss: Send + Sync {
    /// The loss of each sample. `y_true` and `y_pred` have passed [`Loss::check_dims`].
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample>;

    /// The loss of a batch, for a loop of your own. A loss that was not told whether it is given
    /// logits takes logits.
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        reduce::reduce(self.per_sample(y_true, y_pred)?, None, self.reduction())
    }

    /// How the values become one.
    fn reduction(&self) -> Reduction {
        Reduction::SumOverBatchSize
    }

    /// Refuses targets whose shape does not go with the predictions' (nothing is broadcast).
    fn check_dims(&self, y_true: &[usize], y_pred: &Dims) -> Result<()>;

    /// Whether targets are class indices, and if so how many classes there are for predictions of
    /// this shape, and which index is ignored.
    fn classes(&self, _y_pred: &Dims) -> Option<(usize, Option<i64>)> {
        None
    }

    /// `Some(None)` if the loss takes logits or probabilities and was not told which.
    fn takes_logits(&self) -> Option<Option<bool>> {
        None
    }
}

/// Targets of exactly the shape of the predictions.
pub(crate) fn same_shape(y_true: &[usize], y_pred: &Dims) -> Result<()> {
    if y_pred.fits(y_true) {
        return Ok(());
    }
    Err(Error::data(format!(
        "y has shape {y_true:?}, the model's output is {y_pred}; this loss needs targets of the shape \
         of the output (reshape y, or change the last layer's units)"
    )))
}
