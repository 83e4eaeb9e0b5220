//! Functions along one axis of a tensor: their kernels see rows, the last axis.

use candle_core::{Result, Tensor, bail};

/// The axis -1, the default of every such function.
pub const LAST: i64 = -1;

/// The position of an axis that may count from the end.
pub fn position(name: &str, rank: usize, axis: i64) -> Result<usize> {
    let from_start = if axis < 0 { axis.saturating_add_unsigned(rank as u64) } else { axis };
    match usize::try_from(from_start) {
        Ok(position) if position < rank => Ok(position),
        _ => bail!("{name}: axis {axis} does not exist in an input of {rank} axes"),
    }
}

/// Runs `rows`, which works along the last axis, along any.
pub fn along(
    name: &str,
    x: &Tensor,
    axis: i64,
    rows: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let axis = position(name, x.rank(), axis)?;
    if axis + 1 == x.rank() {
        return rows(x);
    }
    rows(&x.transpose(axis, x.rank() - 1)?)?.transpose(axis, x.rank() - 1)
}
