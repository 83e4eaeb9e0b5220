//! DepthwiseConv1D, DepthwiseConv2D: each channel convolved by itself.

use super::{convolved, in_format, window_sizes};
use crate::constraints::Constraint;
use crate::fields::{bias, weight};
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::spatial::{Padding, Sizes, Spatial, WindowSizes};
use crate::{Call, DataFormat, Layer};
use sconce_core::{Args, Config, Error, Result, Spec, Tensor, WeightSpec};
use sconce_ops::activations::Range;
use sconce_ops::{ActivationFn, Epilogue};

/// Over one spatial axis, such as time.
pub type DepthwiseConv1D = DepthwiseConv<1>;
/// Over the height and width of images.
pub type DepthwiseConv2D = DepthwiseConv<2>;

/// A convolution of each channel by itself, with `depth_multiplier` filters each.
///
/// x `[batch, spatial.., channels]`, kernel `[kernel_size.., channels, depth_multiplier]`, bias and the
/// channels of y `[channels * depth_multiplier]`, those of one input channel side by side. Defaults as in Keras:
/// strides 1, no padding, linear, with bias, `glorot_uniform` kernel, zero bias. Keras: `DepthwiseConv1D`,
/// `DepthwiseConv2D`.
#[derive(Clone, Debug, Config)]
#[config(named, name = "DepthwiseConv{RANK}D")]
pub struct DepthwiseConv<const RANK: usize> {
    /// Filters of each channel.
    #[config(default = 1, range = "[1, inf)")]
    pub depth_multiplier: usize,
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
    /// First values of the kernel.
    #[config(default = "glorot_uniform")]
    pub depthwise_initializer: Initializer,
    /// First values of the bias.
    #[config(default = "zeros")]
    pub bias_initializer: Initializer,
    /// Penalty on the kernel.
    pub depthwise_regularizer: Option<Regularizer>,
    /// Penalty on the bias.
    pub bias_regularizer: Option<Regularizer>,
    /// Projection of the kernel after each update.
    pub depthwise_constraint: Option<Constraint>,
    /// Projection of the bias after each update.
    pub bias_constraint: Option<Constraint>,
}

/// The filters of all channels.
pub(super) fn filters(channels: usize, depth_multiplier: usize) -> Result<usize> {
    channels.checked_mul(depth_multiplier).ok_or_else(|| {
        let message =
            format!("depth_multiplier {depth_multiplier} is too large for {channels} channels");
        Error::layer("", message)
    })
}

impl<const RANK: usize> DepthwiseConv<RANK> {
    fn windows(&self) -> WindowSizes<'_> {
        window_sizes(&self.kernel_size, &self.strides, &self.dilation_rate, self.padding)
    }

    fn spatial(&self, x: &Args<Spec>) -> Result<Spatial> {
        Spatial::new(x.single(Self::CLASS_NAME)?, RANK, self.data_format, Self::CLASS_NAME)
    }
}

impl<const RANK: usize> Layer for DepthwiseConv<RANK> {
    fn check(&self) -> Result<()> {
        self.activation.get().map_err(|e| e.under("activation"))?;
        self.padding.check(false)
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let spatial = self.spatial(x)?;
        let filters = filters(spatial.known_channels()?, self.depth_multiplier)?;
        let dims = convolved(&spatial, &self.windows(), filters, &self.activation)?;
        Ok(vec![x.single(Self::CLASS_NAME)?.with_dims(dims)])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let channels = self.spatial(x)?.known_channels()?;
        let dims = [&self.kernel_size.0[..], &[channels, self.depth_multiplier]].concat();
        let (initializer, regularizer, constraint) =
            (&self.depthwise_initializer, &self.depthwise_regularizer, &self.depthwise_constraint);
        let mut specs =
            vec![weight("kernel", &dims, "depthwise", initializer, regularizer, constraint)?];
        let dims = [filters(channels, self.depth_multiplier)?];
        let (initializer, regularizer, constraint) =
            (&self.bias_initializer, &self.bias_regularizer, &self.bias_constraint);
        specs.extend(bias(self.use_bias.then_some(&dims), initializer, regularizer, constraint)?);
        Ok(specs)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let following = call.following();
        let kernel = call.weight("kernel")?;
        let bias = following.bias(call.find_weight("bias"))?;
        let windows = self.windows();
        let y = in_format(
            call.single()?,
            self.data_format,
            following.activation(self.activation.get()?),
            |i, size| windows.axis(i, size),
            |x, axes, f| {
                let epilogue = Epilogue::new(bias.as_ref(), f).scaled(following.factor());
                Ok(sconce_ops::depthwise_convolution(x, &kernel, axes, &epilogue)?)
            },
        )?;
        Ok(vec![y])
    }

    fn takes_following(&self) -> bool {
        self.data_format == DataFormat::ChannelsLast && self.activation.name() == "linear"
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        Some(self.activation.get().is_ok_and(|a| a.range() == Range::Probability))
    }
}
