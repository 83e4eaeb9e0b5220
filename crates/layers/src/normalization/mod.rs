//! Layers that bring values to mean 0 and variance 1, or to length 1.
//!
//! They differ in which values share their statistics; the operation is one
//! ([`sconce_ops::normalization`]).

mod batch_normalization;
mod group_normalization;
mod layer_normalization;
mod layer_scale;
mod rms_normalization;
mod spectral_normalization;
pub(crate) mod unit_normalization;

pub use batch_normalization::BatchNormalization;
pub use group_normalization::GroupNormalization;
pub use layer_normalization::LayerNormalization;
pub use layer_scale::LayerScale;
pub use rms_normalization::RMSNormalization;
pub use spectral_normalization::SpectralNormalization;
pub use unit_normalization::UnitNormalization;

use crate::Call;
use sconce_core::{DType, Result, Tensor};
use sconce_ops::normalization::{Normalization, Sets};
use sconce_ops::reshape;

/// The values in a type in which statistics do not overflow: half precision in f32, as in Keras.
fn widened(x: &Tensor) -> Result<Tensor> {
    Ok(match x.dtype() {
        DType::F16 | DType::BF16 => x.to_dtype(DType::F32)?,
        _ => x.clone(),
    })
}

/// A weight, if the layer has it, as one row in the type of the values.
fn row(call: &Call<'_>, name: &str, x: &Tensor) -> Result<Option<Tensor>> {
    let Some(weight) = call.find_weight(name) else { return Ok(None) };
    let weight = if weight.dtype() == x.dtype() { weight } else { weight.to_dtype(x.dtype())? };
    let len = weight.elem_count();
    Ok(Some(if weight.rank() == 1 { weight } else { reshape(&weight, len)? }))
}

/// Normalizes over some axes: each set is what the other axes have at one place.
fn over_axes(
    x: &Tensor,
    axes: &[usize],
    center: bool,
    epsilon: f64,
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
) -> Result<Tensor> {
    let others: Vec<usize> = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
    let order: Vec<usize> = others.iter().chain(axes).copied().collect();
    let in_order = order.is_sorted();
    let rows = if in_order { x.clone() } else { x.permute(order.as_slice())?.contiguous()? };
    let channels = rows.dims().iter().skip(others.len()).product();
    let samples = rows.dims().iter().take(others.len()).product();
    let sets = Sets { samples, positions: 1, groups: 1, channels, inner: 1 };
    let [y, ..] = Normalization { sets, center, epsilon, gamma, beta }.apply(&rows, None)?;
    if in_order {
        return Ok(y);
    }
    let mut back = vec![0; order.len()];
    for (position, axis) in order.iter().enumerate() {
        if let Some(place) = back.get_mut(*axis) {
            *place = position;
        }
    }
    Ok(y.permute(back)?.contiguous()?)
}
