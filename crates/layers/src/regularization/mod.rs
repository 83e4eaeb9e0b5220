//! Layers that only act in training, against overfitting.

mod activity_regularization;
mod alpha_dropout;
mod dropout;
mod gaussian_dropout;
mod gaussian_noise;
mod spatial_dropout;
mod stochastic_depth;

pub use activity_regularization::ActivityRegularization;
pub use alpha_dropout::AlphaDropout;
pub use dropout::Dropout;
pub use gaussian_dropout::GaussianDropout;
pub use gaussian_noise::GaussianNoise;
pub use spatial_dropout::{SpatialDropout1D, SpatialDropout2D, SpatialDropout3D};
pub use stochastic_depth::StochasticDepth;

use crate::Call;
use sconce_core::{Error, Result, Stream, Tensor};

/// The random stream of a call, under a seed of the layer's own if it has one.
pub(crate) fn stream(call: &Call<'_>, seed: Option<u64>) -> Stream {
    let stream = call.stream(0);
    match seed {
        Some(seed) => stream.reseeded(seed),
        None => stream,
    }
}

/// The shape of a mask: that of the inputs, or a given one, where `None` takes the input's length.
fn noise_dims(x: &Tensor, noise_shape: &Option<Vec<Option<usize>>>) -> Result<Vec<usize>> {
    let Some(shape) = noise_shape else { return Ok(x.dims().to_vec()) };
    let fits = |(noise, len): (&Option<usize>, &usize)| noise.is_none_or(|n| n == 1 || n == *len);
    if shape.len() != x.rank() || !shape.iter().zip(x.dims()).all(fits) {
        let message = format!("noise_shape {shape:?} does not fit inputs of shape {:?}", x.dims());
        return Err(Error::layer("", message));
    }
    Ok(shape.iter().zip(x.dims()).map(|(noise, len)| noise.unwrap_or(*len)).collect())
}

/// Normal numbers of a mean and standard deviation, in the shape and type of a tensor.
fn normal(like: &Tensor, mean: f64, deviation: f64, mut stream: Stream) -> Result<Tensor> {
    let number = |_| (mean + deviation * stream.normal()) as f32;
    let values: Vec<f32> = (0..like.elem_count()).map(number).collect();
    Ok(Tensor::from_vec(values, like.shape(), like.device())?.to_dtype(like.dtype())?)
}
