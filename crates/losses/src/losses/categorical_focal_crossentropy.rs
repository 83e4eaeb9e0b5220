//! Categorical focal crossentropy: for classes of which some are rare.

use super::categorical_crossentropy::smoothed;
use super::crossentropy::{classes_axis, logits_of_the_model};
use super::{Loss, LossFn, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Dims, Result, Tensor};
use sconce_ops::activations::{Activation, LogSoftmax};
use sconce_ops::losses::{probability_sums, sum_loss};

/// `-alpha sum(y_true (1 - p)^gamma ln(p))` over `axis`: what is predicted well counts less. y_true and
/// y_pred `[batch, .., classes]`, values `[batch, ..]`. Keras's `CategoricalFocalCrossentropy`.
///
/// Probabilities are divided by their sum and clipped to 1e-7..1 - 1e-7; from logits nothing is, so
/// that gradients do not vanish.
///
/// Lin et al., "Focal Loss for Dense Object Detection", 2017.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct CategoricalFocalCrossentropy {
    /// Whether predictions are logits. Left out: they are, unless the compiled model ends in a
    /// softmax or sigmoid.
    pub from_logits: Option<bool>,
    /// Label smoothing `s`: targets `t` become `t (1 - s) + s / classes`.
    #[config(default = 0.0, range = "[0, 1]")]
    pub label_smoothing: f64,
    /// The axis of the classes.
    #[config(default = -1)]
    pub axis: i64,
    /// The weight of all classes.
    #[config(default = 0.25, range = "[0, inf)")]
    pub alpha: f64,
    /// How much less counts what is predicted well; 0 is the crossentropy times `alpha`.
    #[config(default = 2.0, range = "[0, inf)")]
    pub gamma: f64,
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `categorical_focal_crossentropy`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for CategoricalFocalCrossentropy {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = smoothed(y_true, y_pred, self.label_smoothing, self.axis)?;
        let logits = self.from_logits.unwrap_or(true);
        let y_pred = match logits {
            true => LogSoftmax { axis: -1 }.call(&y_pred)?,
            false => y_pred.broadcast_div(&probability_sums(&y_pred)?)?,
        };
        let function = sconce_ops::losses::CategoricalFocalCrossentropy {
            gamma: self.gamma,
            alpha: self.alpha,
            logarithms: logits,
        };
        Ok(sum_loss(function, &y_true, &y_pred)?.into())
    }

    fn values_dims(&self, y_pred: &Dims) -> Result<Dims> {
        shapes::without(y_pred, self.axis)
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        classes_axis(&Loss::name(self), self.axis, y_pred)?;
        shapes::check_aligned(&Loss::name(self), name, y_true, y_pred)
    }

    logits_of_the_model!();
}
