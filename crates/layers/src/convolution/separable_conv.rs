//! SeparableConv1D, SeparableConv2D: a depthwise convolution, then one of the channels at each place.

use super::depthwise_conv::filters;
use super::{convolved, in_format, window_sizes};
use crate::constraints::Constraint;
use crate::fields::{bias, weight};
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::spatial::{Padding, Sizes, Spatial, WindowSizes};
use crate::{Call, DataFormat, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor, WeightSpec};
use sconce_ops::activations::{Activation, Linear, Range};
use sconce_ops::windows::Axis;
use sconce_ops::{ActivationFn, Epilogue};
use std::sync::Arc;

/// Over one spatial axis, such as time.
pub type SeparableConv1D = SeparableConv<1>;
/// Over the height and width of images.
pub type SeparableConv2D = SeparableConv<2>;

/// A depthwise convolution, then a pointwise one: `y = f((x * depthwise_kernel) pointwise_kernel + bias)`.
///
/// x `[batch, spatial.., channels]`, depthwise kernel `[kernel_size.., channels, depth_multiplier]`, pointwise
/// kernel `[1.., channels * depth_multiplier, filters]`, bias `[filters]`, y `[batch, spatial.., filters]`.
/// Defaults as in Keras: strides 1, no padding, linear, with bias, `glorot_uniform` kernels, zero bias. Keras:
/// `SeparableConv1D`, `SeparableConv2D`.
#[derive(Clone, Debug, Config)]
#[config(named, name = "SeparableConv{RANK}D", new(filters, kernel_size))]
pub struct SeparableConv<const RANK: usize> {
    /// Filters of each channel in the depthwise convolution.
    #[config(default = 1, range = "[1, inf)")]
    pub depth_multiplier: usize,
    /// Number of filters, the channels that come out; at least 1.
    #[config(range = "[1, inf)")]
    pub filters: usize,
    /// Size of the windows, along each axis.
    #[config(range = "[1, inf)")]
    pub kernel_size: Sizes<RANK>,
    /// Distance between windows, along each axis.
    #[config(default = 1, range = "[1, inf)")]
    pub strides: Sizes<RANK>,
    /// "valid": none; "same": zeros on both sides.
    #[config(default)]
    pub padding: Padding,
    /// "channels_last" or "channels_first".
    #[config(default, null = DataFormat::ChannelsLast)]
    pub data_format: DataFormat,
    /// Distance between the places of a window, along each axis.
    #[config(default = 1, range = "[1, inf)")]
    pub dilation_rate: Sizes<RANK>,
    /// Function applied to the result.
    #[config(default = "linear", null = "linear")]
    pub activation: ActivationFn,
    /// Whether there is a bias.
    #[config(default = true)]
    pub use_bias: bool,
    /// First values of the depthwise kernel.
    #[config(default = "glorot_uniform")]
    pub depthwise_initializer: Initializer,
    /// First values of the pointwise kernel.
    #[config(default = "glorot_uniform")]
    pub pointwise_initializer: Initializer,
    /// First values of the bias.
    #[config(default = "zeros")]
    pub bias_initializer: Initializer,
    /// Penalty on the depthwise kernel.
    pub depthwise_regularizer: Option<Regularizer>,
    /// Penalty on the pointwise kernel.
    pub pointwise_regularizer: Option<Regularizer>,
    /// Penalty on the bias.
    pub bias_regularizer: Option<Regularizer>,
    /// Projection of the depthwise kernel after each update.
    pub depthwise_constraint: Option<Constraint>,
    /// Projection of the pointwise kernel after each update.
    pub pointwise_constraint: Option<Constraint>,
    /// Projection of the bias after each update.
    pub bias_constraint: Option<Constraint>,
}

impl<const RANK: usize> SeparableConv<RANK> {
    fn windows(&self) -> WindowSizes<'_> {
        window_sizes(&self.kernel_size, &self.strides, &self.dilation_rate, self.padding)
    }

    fn spatial(&self, x: &Args<Spec>) -> Result<Spatial> {
        Spatial::new(x.single(Self::CLASS_NAME)?, RANK, self.data_format, Self::CLASS_NAME)
    }
}

impl<const RANK: usize> Layer for SeparableConv<RANK> {
    fn check(&self) -> Result<()> {
        self.activation.get().map_err(|e| e.under("activation"))?;
        self.padding.check(false)
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let spatial = self.spatial(x)?;
        filters(spatial.known_channels()?, self.depth_multiplier)?;
        let dims = convolved(&spatial, &self.windows(), self.filters, &self.activation)?;
        Ok(vec![x.single(Self::CLASS_NAME)?.with_dims(dims)])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let channels = self.spatial(x)?.known_channels()?;
        let inner = filters(channels, self.depth_multiplier)?;
        let dims = [&self.kernel_size.0[..], &[channels, self.depth_multiplier]].concat();
        let (initializer, regularizer, constraint) =
            (&self.depthwise_initializer, &self.depthwise_regularizer, &self.depthwise_constraint);
        let depthwise = "depthwise_kernel";
        let depthwise =
            weight(depthwise, &dims, "depthwise", initializer, regularizer, constraint)?;
        let dims = [&[1; RANK][..], &[inner, self.filters]].concat();
        let (initializer, regularizer, constraint) =
            (&self.pointwise_initializer, &self.pointwise_regularizer, &self.pointwise_constraint);
        let pointwise = "pointwise_kernel";
        let pointwise =
            weight(pointwise, &dims, "pointwise", initializer, regularizer, constraint)?;
        let mut specs = vec![depthwise, pointwise];
        let (initializer, regularizer, constraint) =
            (&self.bias_initializer, &self.bias_regularizer, &self.bias_constraint);
        let dims = self.use_bias.then_some(std::slice::from_ref(&self.filters));
        specs.extend(bias(dims, initializer, regularizer, constraint)?);
        Ok(specs)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let (depthwise, pointwise) =
            (call.weight("depthwise_kernel")?, call.weight("pointwise_kernel")?);
        let bias = call.find_weight("bias");
        let windows = self.windows();
        let linear: Arc<dyn Activation> = Arc::new(Linear::new());
        let y = in_format(
            call.single()?,
            self.data_format,
            self.activation.get()?,
            |i, size| windows.axis(i, size),
            |x, axes, f| {
                let x = sconce_ops::depthwise_convolution(
                    x,
                    &depthwise,
                    axes,
                    &Epilogue::new(None, &linear),
                )?;
                let place = |axis: &Axis| Axis {
                    input: axis.output,
                    output: axis.output,
                    kernel: 1,
                    stride: 1,
                    dilation: 1,
                    pad: 0,
                };
                let axes: Vec<Axis> = axes.iter().map(place).collect();
                let epilogue = Epilogue::new(bias.as_ref(), f);
                Ok(sconce_ops::convolution(&x, &pointwise, &axes, 1, &epilogue)?)
            },
        )?;
        Ok(vec![y])
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        Some(self.activation.get().is_ok_and(|a| a.range() == Range::Probability))
    }
}
