//! Losses: one file each gives a value per sample; weights, masks and reduction are in [`reduce`]
//! once.

mod binary_crossentropy;
mod categorical_crossentropy;
mod crossentropy;
mod huber;
mod mean_absolute_error;
mod mean_squared_error;
pub mod reduce;
mod reduction;
mod sparse_categorical_crossentropy;
#[cfg(test)]
mod tests;

pub use binary_crossentropy::BinaryCrossentropy;
pub use categorical_crossentropy::CategoricalCrossentropy;
pub use crossentropy::Crossentropy;
pub(crate) use crossentropy::TargetKind;
pub use huber::Huber;
pub use mean_absolute_error::MeanAbsoluteError;
pub use mean_squared_error::MeanSquaredError;
pub use reduction::Reduction;
pub use sparse_categorical_crossentropy::SparseCategoricalCrossentropy;

use crate::shapes;
use sconce_core::registry::Style;
use sconce_core::{DType, Dims, Entry, Error, Kind, Part, Result, Tensor, registry};

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

registry! { Losses:
    BinaryCrossentropy = "BinaryCrossentropy" ["binary_crossentropy", "bce"];
    CategoricalCrossentropy = "CategoricalCrossentropy" ["categorical_crossentropy"];
    Crossentropy = "crossentropy" ["crossentropy", "ce"];
    Huber = "Huber" ["huber"];
    MeanAbsoluteError = "MeanAbsoluteError" ["mean_absolute_error", "mae"];
    MeanSquaredError = "MeanSquaredError" ["mean_squared_error", "mse"];
    SparseCategoricalCrossentropy = "SparseCategoricalCrossentropy" ["sparse_categorical_crossentropy"];
}

/// A value for each sample, before weights and reduction.
pub struct PerSample {
    /// The values: the shape of the predictions without the axis that the loss is computed over.
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

/// What is known of a model's output when losses and metrics settle what was left out.
#[derive(Clone, Copy, Debug)]
pub struct Outputs<'a> {
    /// The shape of the predictions.
    pub y_pred: &'a Dims,
    /// The shape of the targets, once there are some.
    pub y_true: Option<&'a [usize]>,
    /// Whether the predictions are logits.
    pub logits: bool,
    /// Whether that was found out from the model, since the loss did not say.
    pub inferred: bool,
}

/// A loss function.
pub trait Loss: Send + Sync {
    /// Refuses a configuration that cannot work.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The loss of each sample. `y_true` and `y_pred` have passed [`Loss::check_shape`].
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample>;

    /// The shape of the values for predictions of this shape.
    fn values_dims(&self, y_pred: &Dims) -> Result<Dims> {
        shapes::without(y_pred, -1)
    }

    /// How the values become one.
    fn reduces_by(&self) -> Reduction {
        Reduction::SumOverBatchSize
    }

    /// Refuses targets (called `name` in messages) whose shape does not go with the predictions'.
    /// Nothing is broadcast.
    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()>;

    /// Refuses targets with values that cannot be, such as labels outside the classes.
    fn check_values(&self, _name: &str, _y_true: &Tensor, _y_pred: &Dims) -> Result<()> {
        Ok(())
    }

    /// The type targets are brought to before training.
    fn target_dtype(&self) -> DType {
        DType::F32
    }

    /// `Some(None)` if the loss takes logits or probabilities and was not told which.
    fn takes_logits(&self) -> Option<Option<bool>> {
        None
    }

    /// The same loss with what was left out filled in from the model, if there is something to fill
    /// in and enough is known for it.
    fn resolve(&self, _outputs: &Outputs<'_>) -> Result<Option<LossFn>> {
        Ok(None)
    }

    /// The loss of a batch as one number that can be differentiated, for a loop of your own. A loss
    /// that was not told whether it is given logits takes logits.
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
        reduce::reduce(self.per_sample(y_true, y_pred)?, sample_weight, self.reduces_by())
    }
}

/// Label smoothing is a part of one.
fn check_smoothing(label_smoothing: f64) -> Result<()> {
    if (0.0..=1.0).contains(&label_smoothing) {
        return Ok(());
    }
    Err(Error::config("label_smoothing", format!("must be in 0..1, found {label_smoothing}")))
}

/// The builder methods that every loss has.
macro_rules! common_builders {
    ($ty:ident) => {
        impl $ty {
            /// With Keras's defaults.
            pub fn new() -> Self {
                Self::default()
            }

            /// Sets how the values of a batch become one.
            pub fn reduction(mut self, reduction: $crate::losses::Reduction) -> Self {
                self.reduction = reduction;
                self
            }

            /// Names it.
            pub fn name(mut self, name: &str) -> Self {
                self.name = Some(name.to_string());
                self
            }
        }
    };
}
use common_builders;
