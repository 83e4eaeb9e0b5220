//! Hinge loss: a margin between two classes.

use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Result, Tensor};
use sconce_ops::losses::mean_loss;

/// The mean of `max(1 - y_true y_pred, 0)` over the last axis. Targets are -1 or 1; those of a batch
/// that are all 0 or 1 are converted. y_true and y_pred `[batch, .., d]`, values `[batch, ..]`. Keras's
/// `Hinge`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct Hinge {
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `hinge`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for Hinge {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let y_true = signed(&y_true.to_dtype(y_pred.dtype())?)?;
        Ok(mean_loss(sconce_ops::losses::Hinge, &y_true, &y_pred)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}

/// Targets of -1 and 1 from targets that are all 0 or 1. Others stay as they are.
pub(super) fn signed(y_true: &Tensor) -> Result<Tensor> {
    if y_true.elem_count() == 0 {
        return Ok(y_true.clone());
    }
    let binary = (y_true.eq(0.0)? + y_true.eq(1.0)?)?.to_dtype(y_true.dtype())?;
    let binary = binary.flatten_all()?.min(0)?;
    Ok((y_true + (y_true - 1.0)?.broadcast_mul(&binary)?)?)
}
