//! Convolutions. A file for each kind, over one, two and three spatial axes: `Conv<2>` is `Conv2D`.
//!
//! Inputs are `[batch, steps, channels]`, `[batch, height, width, channels]` or `[batch, depth, height, width,
//! channels]`, or with the channels after the batch axis (`data_format` "channels_first").

mod conv;
mod conv_transpose;
mod depthwise_conv;
mod separable_conv;

pub use conv::{Conv, Conv1D, Conv2D, Conv3D};
pub use conv_transpose::{Conv1DTranspose, Conv2DTranspose, Conv3DTranspose, ConvTranspose};
pub use depthwise_conv::{DepthwiseConv, DepthwiseConv1D, DepthwiseConv2D};
pub use separable_conv::{SeparableConv, SeparableConv1D, SeparableConv2D};

use crate::DataFormat;
use crate::spatial::{Padding, Sizes, Spatial, WindowSizes};
use sconce_core::{Dims, Error, Result, Tensor};
use sconce_ops::activations::{Activation, ActivationFn};
use sconce_ops::windows::Axis;
use std::sync::Arc;

/// The shape of a result, of which the activation is told.
fn activated(dims: &Dims, activation: &ActivationFn) -> Result<Dims> {
    activation.get().map_err(|e| e.under("activation"))?.output_dims(dims)
}

/// The windows of a kernel.
pub(crate) fn window_sizes<'a, const RANK: usize>(
    kernel_size: &'a Sizes<RANK>,
    strides: &'a Sizes<RANK>,
    dilation_rate: &'a Sizes<RANK>,
    padding: Padding,
) -> WindowSizes<'a> {
    let (kernel, strides, dilation) = (&kernel_size.0, &strides.0, &dilation_rate.0);
    WindowSizes { kernel, strides, dilation, padding, key: "kernel_size" }
}

/// Strides and dilation together have no meaning that frameworks agree on.
pub(crate) fn check_strides(strides: &[usize], dilation: &[usize]) -> Result<()> {
    if strides.iter().any(|s| *s > 1) && dilation.iter().any(|d| *d > 1) {
        let message = format!(
            "strides above 1 do not go with a dilation_rate above 1, found {strides:?} and {dilation:?}"
        );
        return Err(Error::config("strides", message));
    }
    Ok(())
}

/// Runs `operation(x, axes, activation)` on the input with channels last, and gives the result its format and
/// activation. Where channels come first, the activation sees them there.
fn in_format(
    x: &Tensor,
    format: DataFormat,
    activation: &Arc<dyn Activation>,
    axis: impl Fn(usize, usize) -> Result<Axis>,
    operation: impl Fn(&Tensor, &[Axis], &Arc<dyn Activation>) -> Result<Tensor>,
) -> Result<Tensor> {
    let x = format.to_channels_last(x)?;
    let spatial = x.dims().iter().skip(1).take(x.rank().saturating_sub(2));
    let axes = spatial.enumerate().map(|(i, size)| axis(i, *size)).collect::<Result<Vec<_>>>()?;
    match format {
        DataFormat::ChannelsLast => operation(&x, &axes, activation),
        DataFormat::ChannelsFirst => {
            let linear: Arc<dyn Activation> = Arc::new(sconce_ops::activations::Linear::new());
            let y = format.restore_channels(&operation(&x, &axes, &linear)?)?;
            Ok(activation.call(&y)?)
        }
    }
}

/// The shape of a convolution's result.
fn convolved(
    spatial: &Spatial,
    windows: &WindowSizes<'_>,
    channels: usize,
    activation: &ActivationFn,
) -> Result<Dims> {
    let dims = spatial.outputs(Some(channels), |i, size| Ok(windows.axis(i, size)?.output))?;
    activated(&dims, activation)
}
