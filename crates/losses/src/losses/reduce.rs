//! From values per sample to one loss: masks, sample weights, reduction. As Keras's
//! `reduce_weighted_values`, except that weights `[batch]` are accepted for values of any rank.

use super::{PerSample, Reduction};
use sconce_core::{Dims, Error, Result, Tensor};
use sconce_ops::weighted_sum;

/// The loss of a batch, a scalar. `sample_weight` is `[batch]`, `[batch, 1]` or of the shape of the
/// values.
pub fn reduce(
    per_sample: PerSample,
    sample_weight: Option<&Tensor>,
    reduction: Reduction,
) -> Result<Tensor> {
    let PerSample { mut values, mask } = per_sample;
    if let (0, Some(weight)) = (values.rank(), sample_weight) {
        // One value for all samples is weighted by each of their weights, as in Keras.
        values = values.broadcast_as(weight.dims())?;
    }
    let count = values.elem_count() as f64;
    let mean = 1.0 / count.max(1.0);
    if let (None, None) = (sample_weight, &mask) {
        let scale = if reduction == Reduction::Sum { 1.0 } else { mean };
        return Ok(weighted_sum(&values, None, scale)?);
    }
    let given = sample_weight.map(|weight| broadcast_weights(weight, &values)).transpose()?;
    let mask = mask.map(|mask| mask.to_dtype(values.dtype())).transpose()?;
    let weight = weights(given.as_ref(), mask.as_ref())?;
    // Divisors that depend on the data are computed on the device.
    let (weight, scale) = match (reduction, &mask) {
        (Reduction::Sum, _) => (weight, 1.0),
        (Reduction::SumOverBatchSize | Reduction::None, None) => (weight, mean),
        (Reduction::SumOverBatchSize | Reduction::None, Some(mask)) => (over(weight, mask)?, 1.0),
        (Reduction::MeanWithSampleWeight, mask) => {
            // Keras sums weights of the values' rank as they were given, `[batch, 1]` once a row.
            let divisor = match (sample_weight, mask) {
                (Some(given), None) if given.rank() >= values.rank() => {
                    given.to_dtype(values.dtype())?
                }
                _ => weight.clone(),
            };
            (over(weight, &divisor)?, 1.0)
        }
    };
    Ok(weighted_sum(&values, Some(&weight), scale)?)
}

/// The values of a batch multiplied by mask and weights, without a reduction.
pub fn weigh(per_sample: PerSample, sample_weight: Option<&Tensor>) -> Result<Tensor> {
    let PerSample { values, mask } = per_sample;
    let given = sample_weight.map(|weight| broadcast_weights(weight, &values)).transpose()?;
    let mask = mask.map(|mask| mask.to_dtype(values.dtype())).transpose()?;
    match (&given, &mask) {
        (None, None) => Ok(values),
        _ => Ok((&values * weights(given.as_ref(), mask.as_ref())?)?),
    }
}

/// Weights and mask as one.
fn weights(given: Option<&Tensor>, mask: Option<&Tensor>) -> Result<Tensor> {
    match (given, mask) {
        (Some(weight), Some(mask)) => Ok((weight * mask)?),
        (Some(one), None) | (None, Some(one)) => Ok(one.clone()),
        (None, None) => Err(Error::training("expected sample weights or a mask")),
    }
}

/// `weight / sum(divisor)`, or 0 where that sum is 0.
fn over(weight: Tensor, divisor: &Tensor) -> Result<Tensor> {
    let sum = divisor.sum_all()?;
    let zero = sum.eq(0.0)?.to_dtype(sum.dtype())?;
    let scale = ((1.0 - &zero)? / (sum + zero)?)?;
    Ok(weight.broadcast_mul(&scale)?)
}

/// Refuses weights whose shape does not match values of this shape.
pub fn check_weight(weight: &[usize], values: &Dims) -> Result<()> {
    let ones = weight.iter().rev().take_while(|axis| **axis == 1).count();
    let front = weight.get(..weight.len().saturating_sub(ones)).unwrap_or(&[]);
    let one_a_row = front.len() <= 1;
    if one_a_row || values.fits(front) || values.fits(weight) {
        return Ok(());
    }
    Err(Error::data(format!(
        "sample_weight has shape {weight:?}, this loss has values of shape {values}; give one weight \
         a row, or weights of that shape"
    )))
}

/// Sample weights, `[batch]` or more of the first axes of the values, broadcast to their shape.
fn broadcast_weights(weight: &Tensor, values: &Tensor) -> Result<Tensor> {
    let weight = weight.to_dtype(values.dtype())?;
    if weight.elem_count() == values.elem_count() && weight.dims().starts_with(values.dims()) {
        return Ok(weight.reshape(values.shape())?);
    }
    let ones = weight.dims().iter().rev().take_while(|axis| **axis == 1).count();
    let front = weight.dims().get(..weight.rank() - ones).unwrap_or(&[]);
    if !front.is_empty() && values.dims().starts_with(front) {
        let mut shape = front.to_vec();
        shape.resize(values.rank(), 1);
        return Ok(weight.reshape(shape)?.broadcast_as(values.shape())?.contiguous()?);
    }
    let rows = values.dims().first().copied().unwrap_or(1);
    if weight.elem_count() != rows || weight.dims().first() != Some(&rows) {
        check_weight(weight.dims(), &Dims::known(values.dims()))?;
        let message = format!("{} sample weights for {rows} rows", weight.elem_count());
        return Err(Error::data(message));
    }
    let mut shape = vec![1; values.rank()];
    if let Some(first) = shape.first_mut() {
        *first = rows;
    }
    Ok(weight.reshape(shape)?.broadcast_as(values.shape())?.contiguous()?)
}
