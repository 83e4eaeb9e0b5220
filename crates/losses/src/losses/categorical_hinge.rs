//! Categorical hinge loss: a margin between the target's class and the others.

use super::{Loss, PerSample, Reduction};
use crate::shapes;
use candle_core::D;
use sconce_core::{Config, Result, Tensor};

/// `max(neg - pos + 1, 0)` with `pos = sum(y_true y_pred)` and `neg = max((1 - y_true) y_pred)` over the
/// last axis. y_true (one-hot) and y_pred `[batch, .., classes]`, values `[batch, ..]`. Keras's
/// `CategoricalHinge`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct CategoricalHinge {
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `categorical_hinge`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for CategoricalHinge {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
        let y_true = y_true.to_dtype(y_pred.dtype())?;
        let pos = (&y_true * &y_pred)?.sum(D::Minus1)?;
        let others = ((1.0 - &y_true)? * &y_pred)?;
        // The largest, whose gradient equal ones share (candle gives each of them all of it).
        let fixed = others.detach();
        let largest = fixed.broadcast_eq(&fixed.max_keepdim(D::Minus1)?)?;
        let largest = largest.to_dtype(y_pred.dtype())?;
        let share = largest.broadcast_div(&largest.sum_keepdim(D::Minus1)?)?;
        let neg = (others * share)?.sum(D::Minus1)?;
        let margin = ((neg - pos)? + 1.0)?;
        let above = margin.detach().gt(0.0)?.to_dtype(y_pred.dtype())?;
        Ok((margin * above)?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
