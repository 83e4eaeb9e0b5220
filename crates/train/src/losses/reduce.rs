//! From values per sample to one loss: masks, sample weights, reduction.

use super::PerSample;
use sconce_core::{DType, Error, Result, Tensor};
use sconce_ops::weighted_sum;
use serde::{Deserialize, Serialize};

/// How the values of a batch become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Their weighted sum over their number (masked ones do not count).
    #[default]
    #[serde(alias = "auto", alias = "mean")]
    SumOverBatchSize,
    /// Their weighted sum.
    Sum,
    /// Their weighted sum over the sum of the weights.
    MeanWithSampleWeight,
    /// No reduction; training then takes the mean.
    #[serde(alias = "None")]
    None,
}

/// The loss of a batch. `sample_weight` `[batch]` is spread over further axes.
pub fn reduce(
    per_sample: PerSample,
    sample_weight: Option<&Tensor>,
    reduction: Reduction,
) -> Result<Tensor> {
    let PerSample { values, mask } = per_sample;
    let count = values.elem_count() as f64;
    let weight = match sample_weight {
        Some(weight) => Some(spread(weight, &values)?),
        None => None,
    };
    let valid = match &mask {
        Some(mask) => f64::from(mask.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?),
        None => count,
    };
    let weight = match (weight, mask) {
        (Some(weight), Some(mask)) => Some((weight * mask.to_dtype(values.dtype())?)?),
        (None, Some(mask)) => Some(mask.to_dtype(values.dtype())?),
        (weight, None) => weight,
    };
    let scale = match reduction {
        Reduction::Sum => 1.0,
        Reduction::SumOverBatchSize | Reduction::None => 1.0 / valid.max(1e-7),
        Reduction::MeanWithSampleWeight => {
            let total = match &weight {
                Some(weight) => {
                    f64::from(weight.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?)
                }
                None => count,
            };
            1.0 / total.max(1e-7)
        }
    };
    Ok(weighted_sum(&values, weight.as_ref(), scale)?)
}

/// Sample weights `[batch]` or `[batch, 1]` in the shape of the values.
fn spread(weight: &Tensor, values: &Tensor) -> Result<Tensor> {
    let weight = weight.to_dtype(values.dtype())?;
    if weight.dims() == values.dims() {
        return Ok(weight);
    }
    let rows = values.dims().first().copied().unwrap_or(1);
    if weight.elem_count() != rows {
        return Err(Error::data(format!(
            "sample_weight has shape {:?}, the losses have shape {:?}",
            weight.dims(),
            values.dims()
        )));
    }
    let mut shape = vec![1; values.rank()];
    if let Some(first) = shape.first_mut() {
        *first = rows;
    }
    Ok(weight.reshape(shape)?.broadcast_as(values.shape())?.contiguous()?)
}
