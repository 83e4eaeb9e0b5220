//! Binary focal crossentropy: for targets of which one kind is rare.

use super::binary_crossentropy::{check_shares, smoothed};
use super::crossentropy::logits_of_the_model;
use super::{Loss, LossFn, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Dims, Result, Tensor};
use sconce_ops::losses::mean_loss;

/// The mean over `axis` of the binary crossentropy times `(1 - p_t)^gamma`, with
/// `p_t = y_true p + (1 - y_true) (1 - p)`: what is predicted well counts less. y_true (0 to 1) and
/// y_pred `[batch, .., d]`, values `[batch, ..]`. Keras's `BinaryFocalCrossentropy`.
///
/// Probabilities are clipped to 1e-7..1 - 1e-7; from logits nothing is, so that gradients do not
/// vanish.
///
/// Lin et al., "Focal Loss for Dense Object Detection", 2017.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct BinaryFocalCrossentropy {
    /// Whether predictions are logits. Left out: they are, unless the compiled model ends in a
    /// softmax or sigmoid.
    pub from_logits: Option<bool>,
    /// Label smoothing `s`: targets `t` become `t (1 - s) + s / 2`.
    #[config(default = 0.0, range = "[0, 1]")]
    pub label_smoothing: f64,
    /// The axis the mean is over.
    #[config(default = -1)]
    pub axis: i64,
    /// Whether targets of 1 are weighted by `alpha`, those of 0 by `1 - alpha`.
    #[config(default = false)]
    pub apply_class_balancing: bool,
    /// The weight of targets of 1.
    #[config(default = 0.25, range = "[0, 1]")]
    pub alpha: f64,
    /// How much less counts what is predicted well; 0 is the binary crossentropy.
    #[config(default = 2.0, range = "[0, inf)")]
    pub gamma: f64,
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `binary_focal_crossentropy`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for BinaryFocalCrossentropy {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = smoothed(y_true, y_pred, self.label_smoothing, self.axis)?;
        let function = sconce_ops::losses::BinaryFocalCrossentropy {
            gamma: self.gamma,
            alpha: self.apply_class_balancing.then_some(self.alpha),
            logits: self.from_logits.unwrap_or(true),
        };
        Ok(mean_loss(function, &y_true, &y_pred)?.into())
    }

    fn values_dims(&self, y_pred: &Dims) -> Result<Dims> {
        shapes::without(y_pred, self.axis)
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        shapes::axis_of(self.axis, y_pred.rank())?;
        shapes::check_aligned(&Loss::name(self), name, y_true, y_pred)
    }

    fn check_values(&self, name: &str, y_true: &Tensor, _y_pred: &Dims) -> Result<()> {
        check_shares(&Loss::name(self), name, y_true)
    }

    logits_of_the_model!();
}
