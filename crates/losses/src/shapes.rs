//! The rules of losses and metrics for targets and predictions: shapes, axes, labels.

use sconce_core::{DType, Dims, Error, Result, Tensor};

/// Whether targets have the shape of the predictions, or differ by a last axis of one (which
/// [`align`] adds or removes, as Keras).
pub(crate) fn aligned(y_true: &[usize], y_pred: &Dims) -> bool {
    let without_last = || y_true.split_last().filter(|(last, _)| **last == 1).map(|(_, f)| f);
    let front = || match y_pred.0.split_last() {
        Some((Some(1), front)) => Some(Dims(front.to_vec())),
        _ => None,
    };
    y_pred.fits(y_true)
        || without_last().is_some_and(|front| y_pred.fits(front))
        || front().is_some_and(|front| front.rank() > 0 && front.fits(y_true))
}

/// Gives both tensors one shape where they differ by a last axis of one (Keras's
/// `squeeze_or_expand_to_same_rank`).
pub(crate) fn align(y_true: &Tensor, y_pred: &Tensor) -> Result<(Tensor, Tensor)> {
    let (mut y_true, mut y_pred) = (y_true.clone(), y_pred.clone());
    let (t, p) = (y_true.rank(), y_pred.rank());
    if t == p + 1 && y_true.dims().last() == Some(&1) {
        match p {
            1 => y_pred = y_pred.unsqueeze(1)?,
            _ => y_true = y_true.squeeze(t - 1)?,
        }
    } else if p == t + 1 && y_pred.dims().last() == Some(&1) {
        match t {
            1 => y_true = y_true.unsqueeze(1)?,
            _ => y_pred = y_pred.squeeze(p - 1)?,
        }
    }
    Ok((y_true, y_pred))
}

/// Refuses what a closure of the user's own returned, unless it holds values for each sample.
pub(crate) fn check_per_sample(name: &str, values: &Tensor, y_pred: &Tensor) -> Result<()> {
    if values.dims().first() == y_pred.dims().first() {
        return Ok(());
    }
    Err(Error::training(format!(
        "`{name}` returned the shape {:?}; it must return a value for each sample, [{}], which is then \
         averaged",
        values.dims(),
        y_pred.dims().first().copied().unwrap_or(0)
    )))
}

/// Refuses targets of another shape than the predictions' (but for a last axis of one). `hint` is
/// what to do for class indices.
pub(crate) fn check_aligned(what: &str, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
    if aligned(y_true, y_pred) {
        return Ok(());
    }
    let hint = if looks_sparse(y_true, y_pred) {
        "; for class indices, one a row, use the sparse_categorical_crossentropy loss (or \
         sparse_categorical_accuracy as a metric)"
    } else {
        "; nothing is broadcast: reshape it, or change the last layer's units"
    };
    Err(Error::data(format!(
        "{name} has shape {y_true:?}, the model's output is {y_pred}; {what} needs targets of the \
         shape of the output{hint}"
    )))
}

/// Whether targets have the shape of class indices for these predictions: no last axis, or one of
/// one.
pub(crate) fn looks_sparse(y_true: &[usize], y_pred: &Dims) -> bool {
    let Some((classes, front)) = y_pred.0.split_last() else { return false };
    let front = Dims(front.to_vec());
    *classes != Some(1)
        && (front.fits(y_true)
            || y_true.split_last().is_some_and(|(last, f)| *last == 1 && front.fits(f)))
}

/// Refuses targets that are not class indices: predictions without the axis of classes, or with one
/// of one there.
pub(crate) fn check_labels_shape(
    what: &str,
    name: &str,
    y_true: &[usize],
    y_pred: &Dims,
    axis: usize,
) -> Result<()> {
    let front = without(y_pred, axis as i64)?;
    let mut squeezed = y_true.to_vec();
    if squeezed.len() == y_pred.rank() && squeezed.get(axis) == Some(&1) {
        squeezed.remove(axis);
    }
    if front.fits(&squeezed) {
        return Ok(());
    }
    let hint = if y_pred.fits(y_true) {
        "; for one-hot targets use categorical_crossentropy (or categorical_accuracy as a metric)"
    } else {
        ""
    };
    Err(Error::data(format!(
        "{name} has shape {y_true:?}, the model's output is {y_pred}; {what} takes class indices of \
         shape {front}{hint}"
    )))
}

/// An axis counted from the front. The batch axis is none that values can be computed over.
pub(crate) fn axis_of(axis: i64, rank: usize) -> Result<usize> {
    let signed = if axis < 0 { axis + rank as i64 } else { axis };
    match usize::try_from(signed).ok().filter(|axis| (1..rank).contains(axis)) {
        Some(axis) => Ok(axis),
        // A batch of scalars has no other axis.
        None if rank == 1 && signed == 0 => Ok(0),
        None => Err(Error::config(
            "axis",
            format!(
                "must be an axis of the output after the batch axis, found {axis} for {rank} axes"
            ),
        )),
    }
}

/// A shape without one of its axes.
pub(crate) fn without(dims: &Dims, axis: i64) -> Result<Dims> {
    let mut axes = dims.0.clone();
    axes.remove(axis_of(axis, axes.len())?);
    Ok(Dims(axes))
}

/// Moves an axis to the end.
pub(crate) fn to_last(tensor: &Tensor, axis: usize) -> Result<Tensor> {
    if axis + 1 == tensor.rank() {
        return Ok(tensor.clone());
    }
    let order: Vec<usize> = (0..tensor.rank()).filter(|i| *i != axis).chain([axis]).collect();
    Ok(tensor.permute(order)?)
}

/// Class indices as I64. On the CPU, where reading them is free, values that are not whole numbers are
/// refused; a cast would truncate them to another class.
pub(crate) fn labels(y_true: &Tensor) -> Result<Tensor> {
    if y_true.device().is_cpu()
        && let Some((at, label)) = not_whole(y_true)?
    {
        return Err(Error::data(format!(
            "the labels hold {label} at position {at}; class indices are whole numbers. For soft \
             labels use categorical_crossentropy or binary_crossentropy"
        )));
    }
    Ok(y_true.to_dtype(DType::I64)?)
}

/// The first value that is not a whole number, as text, with its position in row-major order.
pub(crate) fn not_whole(y_true: &Tensor) -> Result<Option<(usize, String)>> {
    if !y_true.dtype().is_float() {
        return Ok(None);
    }
    let values = y_true.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    let found = values.into_iter().enumerate().find(|(_, value)| value.fract() != 0.0);
    Ok(found.map(|(at, value)| match y_true.dtype() {
        DType::F64 => (at, value.to_string()),
        // The shortest digits of the type: 0.95, not 0.949999988.
        _ => (at, (value as f32).to_string()),
    }))
}
