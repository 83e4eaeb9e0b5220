//! Cosine similarity: for directions.

use super::{Loss, PerSample, Reduction};
use crate::shapes;
use sconce_core::{Config, Dims, Result, Tensor};
use sconce_ops::losses::EPSILON;

/// `-sum(y_true y_pred) / (|y_true| |y_pred|)` over an axis: -1 for the same direction, 1 for the opposite
/// one; 0 where one of them is 0. y_true and y_pred `[batch, .., d]`, values `[batch, ..]`. Keras's
/// `CosineSimilarity`.
#[derive(Clone, Debug, Config)]
#[config(dtype)]
pub struct CosineSimilarity {
    /// The axis that the vectors lie along. Keras does not write it.
    #[config(default = -1, skip_default)]
    pub axis: i64,
    /// How the values of a batch are reduced to one.
    #[config(default, null = Reduction::None)]
    pub reduction: Reduction,
    /// Its name; left out, `cosine_similarity`.
    #[config(skip_none)]
    pub name: Option<String>,
}

impl Loss for CosineSimilarity {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        Ok(similarity(y_true, y_pred, self.axis)?.neg()?.into())
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn values_dims(&self, y_pred: &Dims) -> Result<Dims> {
        shapes::without(y_pred, self.axis)
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        shapes::axis_of(self.axis, y_pred.rank())?;
        shapes::check_aligned(&Loss::name(self), name, y_true, y_pred)
    }
}

/// The cosine of the angle between vectors along an axis.
pub(crate) fn similarity(y_true: &Tensor, y_pred: &Tensor, axis: i64) -> Result<Tensor> {
    let (y_true, y_pred) = shapes::align(y_true, y_pred)?;
    let axis = shapes::axis_of(axis, y_pred.rank())?;
    let unit = |x: &Tensor| {
        // A norm below EPSILON counts as EPSILON, which also keeps the square root's slope finite.
        let square = x.sqr()?.sum_keepdim(axis)?;
        x.broadcast_div(&square.maximum(EPSILON * EPSILON)?.sqrt()?)
    };
    Ok((unit(&y_true.to_dtype(y_pred.dtype())?)? * unit(&y_pred)?)?.sum(axis)?)
}
