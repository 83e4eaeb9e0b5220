//! Pooling. A file for each kind, over one, two and three spatial axes: `MaxPooling<2>` is `MaxPooling2D`.
//!
//! Inputs are `[batch, steps, channels]`, `[batch, height, width, channels]` or `[batch, depth, height, width,
//! channels]`, or with the channels after the batch axis (`data_format` "channels_first").

mod adaptive_average_pooling;
mod adaptive_max_pooling;
mod average_pooling;
mod global_average_pooling;
mod global_max_pooling;
mod max_pooling;

pub use adaptive_average_pooling::{
    AdaptiveAveragePooling, AdaptiveAveragePooling1D, AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
};
pub use adaptive_max_pooling::{
    AdaptiveMaxPooling, AdaptiveMaxPooling1D, AdaptiveMaxPooling2D, AdaptiveMaxPooling3D,
};
pub use average_pooling::{AveragePooling, AveragePooling1D, AveragePooling2D, AveragePooling3D};
pub use global_average_pooling::{
    GlobalAveragePooling, GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D,
};
pub use global_max_pooling::{
    GlobalMaxPooling, GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D,
};
pub use max_pooling::{MaxPooling, MaxPooling1D, MaxPooling2D, MaxPooling3D};

use crate::DataFormat;
use crate::spatial::{Padding, Sizes, Spatial, WindowSizes};
use sconce_core::{Error, Result, Spec, Tensor};
use sconce_ops::reshape;
use sconce_ops::windows::Axis;
use std::ops::Range;

/// Windows that lie side by side unless strides are given.
fn window_sizes<'a, const RANK: usize>(
    pool_size: &'a Sizes<RANK>,
    strides: &'a Option<Sizes<RANK>>,
    padding: Padding,
) -> WindowSizes<'a> {
    let strides = strides.as_ref().unwrap_or(pool_size);
    let (kernel, strides) = (&pool_size.0, &strides.0);
    WindowSizes { kernel, strides, dilation: &[1; RANK], padding, key: "pool_size" }
}

/// The shape of pooled windows.
fn pooled(
    x: &Spec,
    format: DataFormat,
    windows: &WindowSizes<'_>,
    class_name: &str,
) -> Result<Spec> {
    let spatial = Spatial::new(x, windows.kernel.len(), format, class_name)?;
    let dims = spatial.outputs(spatial.channels, |i, size| Ok(windows.axis(i, size)?.output))?;
    Ok(x.with_dims(dims))
}

/// Runs `operation(x, axes)` on the input with channels last.
fn pool(
    x: &Tensor,
    format: DataFormat,
    windows: &WindowSizes<'_>,
    operation: impl Fn(&Tensor, &[Axis]) -> Result<Tensor>,
) -> Result<Tensor> {
    let x = format.to_channels_last(x)?;
    let spatial = x.dims().iter().skip(1).take(windows.kernel.len());
    let axes = spatial.enumerate().map(|(i, size)| windows.axis(i, *size));
    format.restore_channels(&operation(&x, &axes.collect::<Result<Vec<_>>>()?)?)
}

/// The shape of whole images made one value a channel.
fn global(
    x: &Spec,
    rank: usize,
    format: DataFormat,
    keepdims: bool,
    class_name: &str,
) -> Result<Spec> {
    let spatial = Spatial::new(x, rank, format, class_name)?;
    let sizes = if keepdims { vec![Some(1); rank] } else { Vec::new() };
    Ok(x.with_dims(spatial.with(sizes, spatial.channels)))
}

/// Runs `operation`, of `[outer, places, inner]` to `[outer, inner]`, over all places of an image.
fn pool_all(
    x: &Tensor,
    format: DataFormat,
    keepdims: bool,
    operation: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let [batch, inner @ ..] = x.dims() else { return Ok(x.clone()) };
    let (channels, places) = match (format, inner) {
        (DataFormat::ChannelsLast, [places @ .., channels]) => (*channels, places),
        (DataFormat::ChannelsFirst, [channels, places @ ..]) => (*channels, places),
        _ => return Ok(x.clone()),
    };
    let count = places.iter().product::<usize>();
    let flat = match format {
        DataFormat::ChannelsLast => reshape(x, (*batch, count, channels))?,
        DataFormat::ChannelsFirst => reshape(x, (batch * channels, count, 1))?,
    };
    let ones = if keepdims { vec![1; places.len()] } else { Vec::new() };
    let shape = match format {
        DataFormat::ChannelsLast => [&[*batch], &ones[..], &[channels]].concat(),
        DataFormat::ChannelsFirst => [&[*batch, channels], &ones[..]].concat(),
    };
    Ok(reshape(&operation(&flat)?, shape)?)
}

/// The shape of images pooled to a stated size.
fn adapted(x: &Spec, output_size: &[usize], format: DataFormat, class_name: &str) -> Result<Spec> {
    let spatial = Spatial::new(x, output_size.len(), format, class_name)?;
    let mut outputs = spatial.outputs(spatial.channels, |i, size| {
        let output = output_size.get(i).copied().unwrap_or(1);
        segments(size, output).map(|segments| segments.len())
    })?;
    // The stated size, whatever that of the input.
    for (axis, output) in outputs.0.iter_mut().skip(first_spatial(format)).zip(output_size) {
        *axis = Some(*output);
    }
    Ok(x.with_dims(outputs))
}

/// Where the spatial axes begin.
fn first_spatial(format: DataFormat) -> usize {
    match format {
        DataFormat::ChannelsLast => 1,
        DataFormat::ChannelsFirst => 2,
    }
}

/// Runs `operation`, of `[outer, places, inner]` and segments of places, on one spatial axis after the other.
fn pool_segments(
    x: &Tensor,
    output_size: &[usize],
    format: DataFormat,
    operation: impl Fn(&Tensor, Vec<Range<usize>>) -> Result<Tensor>,
) -> Result<Tensor> {
    let first = first_spatial(format);
    let mut y = x.clone();
    for (axis, output) in output_size.iter().enumerate() {
        let mut dims = y.dims().to_vec();
        let (outer, inner) = dims.split_at(first + axis);
        let [places, inner @ ..] = inner else { return Ok(y) };
        let shape = (outer.iter().product::<usize>(), *places, inner.iter().product::<usize>());
        let len = shape.0.checked_mul(shape.2).and_then(|len| len.checked_mul(*output));
        if len.is_none_or(|len| len >= isize::MAX as usize / 8) {
            let message =
                format!("a result of {output} windows of {dims:?} is beyond what memory holds");
            return Err(Error::layer("", message));
        }
        let pooled = operation(&reshape(&y, shape)?, segments(*places, *output)?)?;
        if let Some(places) = dims.get_mut(first + axis) {
            *places = *output;
        }
        y = reshape(&pooled, dims)?;
    }
    Ok(y)
}

/// Most windows along an axis.
const MOST: usize = 1 << 24;

/// The windows of adaptive pooling over an axis.
fn segments(places: usize, output: usize) -> Result<Vec<Range<usize>>> {
    if places == 0 || output > MOST.max(places) {
        let message = format!("an axis of length {places} cannot be pooled to {output} windows");
        return Err(Error::layer("", message));
    }
    let at = |i: usize| i as u128 * places as u128;
    let output_len = output as u128;
    let segment = |i: usize| (at(i) / output_len) as usize..at(i + 1).div_ceil(output_len) as usize;
    Ok((0..output).map(segment).collect())
}
