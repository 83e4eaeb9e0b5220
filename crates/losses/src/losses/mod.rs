//! Losses, one file each: a loss gives a value per sample. Sample weights, masks and the reduction are
//! applied in [`reduce`], for all of them.

mod binary_crossentropy;
mod binary_focal_crossentropy;
mod categorical_crossentropy;
mod categorical_focal_crossentropy;
mod categorical_generalized_cross_entropy;
mod categorical_hinge;
mod circle;
mod cosine_similarity;
mod crossentropy;
mod ctc;
mod custom;
mod dice;
mod hinge;
mod huber;
mod kl_divergence;
mod log_cosh;
mod mean_absolute_error;
mod mean_absolute_percentage_error;
mod mean_squared_error;
mod mean_squared_logarithmic_error;
mod overlap;
mod poisson;
pub mod reduce;
mod reduction;
mod sparse_categorical_crossentropy;
mod squared_hinge;
#[cfg(test)]
mod tests;
mod tversky;

pub use binary_crossentropy::BinaryCrossentropy;
pub use binary_focal_crossentropy::BinaryFocalCrossentropy;
pub use categorical_crossentropy::CategoricalCrossentropy;
pub use categorical_focal_crossentropy::CategoricalFocalCrossentropy;
pub use categorical_generalized_cross_entropy::CategoricalGeneralizedCrossEntropy;
pub use categorical_hinge::CategoricalHinge;
pub use circle::Circle;
pub use cosine_similarity::CosineSimilarity;
pub(crate) use cosine_similarity::similarity;
pub use crossentropy::Crossentropy;
pub(crate) use crossentropy::TargetKind;
pub use ctc::Ctc;
pub use custom::custom_loss;
pub use dice::Dice;
pub use hinge::Hinge;
pub use huber::Huber;
pub use kl_divergence::KLDivergence;
pub use log_cosh::LogCosh;
pub use mean_absolute_error::MeanAbsoluteError;
pub use mean_absolute_percentage_error::MeanAbsolutePercentageError;
pub use mean_squared_error::MeanSquaredError;
pub use mean_squared_logarithmic_error::MeanSquaredLogarithmicError;
pub use poisson::Poisson;
pub use reduction::Reduction;
pub use sparse_categorical_crossentropy::SparseCategoricalCrossentropy;
pub use squared_hinge::SquaredHinge;
pub use tversky::Tversky;

use crate::shapes;
use sconce_core::names::snake_case_of;
use sconce_core::registry::Style;
use sconce_core::{DType, Dims, Entry, Kind, Part, Result, Tensor, registry};

/// The table of losses.
pub struct Losses;

/// A loss as `compile` takes it: by name, configured, or from JSON.
pub type LossFn = Part<Losses>;

impl Kind for Losses {
    type Object = dyn Loss;
    const NAME: &'static str = "loss";
    const MODULE: &'static str = "keras.losses";
    const STYLE: Style = Style::AsGiven;
    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }

    fn check(object: &Self::Object) -> Result<()> {
        object.check()
    }
}

registry! { Losses(Loss):
    BinaryCrossentropy ["binary_crossentropy", "bce"];
    BinaryFocalCrossentropy ["binary_focal_crossentropy"];
    CategoricalCrossentropy ["categorical_crossentropy"];
    CategoricalFocalCrossentropy ["categorical_focal_crossentropy"];
    CategoricalGeneralizedCrossEntropy ["categorical_generalized_cross_entropy"];
    CategoricalHinge ["categorical_hinge"];
    Circle ["circle"];
    CosineSimilarity ["cosine_similarity"];
    Crossentropy ["crossentropy", "ce"];
    Ctc ["ctc"];
    Dice ["dice"];
    Hinge ["hinge"];
    Huber ["huber"];
    KLDivergence ["kl_divergence", "kld", "kullback_leibler_divergence"];
    LogCosh ["log_cosh"];
    MeanAbsoluteError ["mean_absolute_error", "mae"];
    MeanAbsolutePercentageError ["mean_absolute_percentage_error", "mape"];
    MeanSquaredError ["mean_squared_error", "mse"];
    MeanSquaredLogarithmicError ["mean_squared_logarithmic_error", "msle"];
    Poisson ["poisson"];
    SparseCategoricalCrossentropy ["sparse_categorical_crossentropy"];
    SquaredHinge ["squared_hinge"];
    Tversky ["tversky"];
}

/// A value for each sample, before weights and reduction.
pub struct PerSample {
    /// The values: the shape of the predictions without the axis that the loss is computed over.
    pub values: Tensor,
    /// 1 for values that count and 0 for those that do not, of the same shape. Masked values are
    /// excluded from means.
    pub mask: Option<Tensor>,
}

impl From<Tensor> for PerSample {
    fn from(values: Tensor) -> Self {
        Self { values, mask: None }
    }
}

/// What is known of a model's output when losses and metrics resolve what was left out.
#[derive(Clone, Copy, Debug)]
pub struct Outputs<'a> {
    /// The shape of the predictions.
    pub y_pred: &'a Dims,
    /// The shape of the targets, once there are some.
    pub y_true: Option<&'a [usize]>,
    /// Whether the predictions are logits.
    pub logits: bool,
    /// Whether that was inferred from the model, because the loss leaves it out.
    pub inferred: bool,
}

/// A loss function. Only [`Loss::per_sample`] is required: a loss of your own is masked, weighted and
/// reduced as Keras's are.
pub trait Loss: Send + Sync {
    /// Its name in messages. Default: the type's name in snake case.
    fn name(&self) -> String {
        snake_case_of::<Self>()
    }

    /// Refuses an invalid configuration.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The loss of each sample. `y_true` and `y_pred` have passed [`Loss::check_shape`].
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample>;

    /// The shape of the values for predictions of this shape.
    fn values_dims(&self, y_pred: &Dims) -> Result<Dims> {
        shapes::without(y_pred, -1)
    }

    /// How the values of a batch are reduced to one.
    fn reduction(&self) -> Reduction {
        Reduction::SumOverBatchSize
    }

    /// Refuses targets (called `name` in messages) whose shape does not match the predictions'.
    /// Nothing is broadcast. Default: both have one shape, up to a last axis of size 1.
    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        shapes::check_aligned(&self.name(), name, y_true, y_pred)
    }

    /// Refuses targets with invalid values, such as labels outside the classes.
    fn check_values(&self, _name: &str, _y_true: &Tensor, _y_pred: &Dims) -> Result<()> {
        Ok(())
    }

    /// The type that targets are cast to before training.
    fn target_dtype(&self) -> DType {
        DType::F32
    }

    /// The loss's `from_logits`, if it has one; `Some(None)` if that was left out.
    fn takes_logits(&self) -> Option<Option<bool>> {
        None
    }

    /// The same loss with what was left out filled in from the model. `None` if nothing was left out,
    /// or too little is known yet.
    fn resolve(&self, _outputs: &Outputs<'_>) -> Result<Option<LossFn>> {
        Ok(None)
    }

    /// The loss of a batch, a differentiable scalar, for a loop of your own. `from_logits` left out
    /// means logits.
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        self.call_weighted(y_true, y_pred, None)
    }

    /// As [`Loss::call`], with sample weights: `[batch]`, `[batch, 1]` or one for each value.
    fn call_weighted(
        &self,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<Tensor> {
        self.check_shape("y_true", y_true.dims(), &Dims::known(y_pred.dims()))?;
        reduce::reduce(self.per_sample(y_true, y_pred)?, sample_weight, self.reduction())
    }
}
