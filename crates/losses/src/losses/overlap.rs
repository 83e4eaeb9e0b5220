//! Sums over the axes of losses of overlap.

use sconce_core::{Axes, Dims, Result, Tensor};

/// The sum over axes; over all of them if they are left out.
pub(super) fn sum(x: &Tensor, axes: Option<&Axes>) -> Result<Tensor> {
    match axes {
        Some(axes) => Ok(x.sum(axes.positions(x.rank())?)?),
        None => Ok(x.sum_all()?),
    }
}

/// The shape of the sums.
pub(super) fn values_dims(axes: Option<&Axes>, y_pred: &Dims) -> Result<Dims> {
    let Some(axes) = axes else { return Ok(Dims(Vec::new())) };
    let summed = axes.positions(y_pred.rank())?;
    let kept = y_pred.0.iter().enumerate().filter(|(axis, _)| !summed.contains(axis));
    Ok(Dims(kept.map(|(_, length)| *length).collect()))
}
