//! Huber's loss: quadratic near the target, linear beyond.

use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Result, Tensor};
use sconce_ops::losses::mean_loss;

/// With `e = y_true - y_pred`, the mean over the last axis of `e^2 / 2` where `|e| <= delta`, else
/// `delta |e| - delta^2 / 2`. y_true and y_pred `[batch, .., d]`, values `[batch, ..]`. Keras's
/// `Huber`.
///
/// Huber, "Robust estimation of a location parameter", 1964.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct Huber {
    /// The error at which the loss turns from quadratic to linear.
    #[config(default = 1.0, range = "(0, inf)")]
    pub delta: f64,
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `huber_loss`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for Huber {
    fn name(&self) -> String {
        "huber_loss".to_string()
    }

    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let function = sconce_ops::losses::Huber { delta: self.delta };
        Ok(mean_loss(function, &y_true, &y_pred)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
