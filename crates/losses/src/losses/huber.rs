//! Huber's loss: quadratic near the target, linear beyond.

use super::{Loss, PerSample, Reduction, common_builders};
use crate::dtype::Float32;
use crate::shapes;
use sconce_core::{Error, Result, Tensor};
use sconce_ops::losses::mean_loss;
use serde::{Deserialize, Serialize};

/// With `e = y_true - y_pred`, the mean over the last axis of `e^2 / 2` where `|e| <= delta`, else
/// `delta |e| - delta^2 / 2`. y_true and y_pred `[batch, .., d]`, values `[batch, ..]`. Keras's
/// `Huber`.
///
/// Huber, "Robust estimation of a location parameter", 1964.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Huber {
    /// The error at which the loss turns from quadratic to linear. Default 1.
    pub delta: f64,
    /// How the values of a batch are reduced to one. Default `sum_over_batch_size`.
    pub reduction: Reduction,
    /// Its name. Default `huber_loss`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type it computes in.
    #[serde(skip_serializing)]
    pub dtype: Float32,
}

common_builders!(Huber);

impl Default for Huber {
    fn default() -> Self {
        Self { delta: 1.0, reduction: Reduction::default(), name: None, dtype: Float32 }
    }
}

impl Huber {
    /// Sets the error at which the loss turns from quadratic to linear.
    pub fn delta(mut self, delta: f64) -> Self {
        self.delta = delta;
        self
    }
}

impl Loss for Huber {
    fn check(&self) -> Result<()> {
        if self.delta > 0.0 && self.delta.is_finite() {
            return Ok(());
        }
        Err(Error::config("delta", format!("must be a number above 0, found {}", self.delta)))
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
