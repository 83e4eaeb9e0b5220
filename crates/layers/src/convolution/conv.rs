//! Conv1D, Conv2D, Conv3D: `y = f(x * kernel + bias)`.

use super::{check_strides, convolved, in_format, window_sizes};
use crate::constraints::Constraint;
use crate::fields::{bias, require, weight};
use crate::initializers::Initializer;
use crate::lora;
use crate::regularizers::Regularizer;
use crate::spatial::{Padding, Sizes, Spatial, WindowSizes};
use crate::{Call, DataFormat, Layer};
use sconce_core::{Args, Config, Error, Result, Spec, Tensor, WeightSpec};
use sconce_ops::activations::Range;
use sconce_ops::{ActivationFn, Epilogue};

/// Over one spatial axis, such as time.
pub type Conv1D = Conv<1>;
/// Over the height and width of images.
pub type Conv2D = Conv<2>;
/// Over depth, height and width.
pub type Conv3D = Conv<3>;

/// A convolution: `y[o] = f(sum_k x[o * strides + k * dilation_rate - padding] kernel[k] + bias)`.
///
/// x `[batch, spatial.., channels]`, kernel `[kernel_size.., channels / groups, filters]`, bias `[filters]`, y
/// `[batch, spatial.., filters]`. Defaults as in Keras: strides 1, no padding, linear, with bias,
/// `glorot_uniform` kernel, zero bias. Keras: `Conv1D`, `Conv2D`, `Conv3D`.
#[derive(Clone, Debug, Config)]
#[config(named, name = "Conv{RANK}D")]
pub struct Conv<const RANK: usize> {
    /// Number of filters, the channels that come out; at least 1.
    #[config(range = "[1, inf)")]
    pub filters: usize,
    /// Size of the windows, along each axis.
    #[config(range = "[1, inf)")]
    pub kernel_size: Sizes<RANK>,
    /// Distance between windows, along each axis.
    #[config(default = 1, range = "[1, inf)")]
    pub strides: Sizes<RANK>,
    /// "valid": none; "same": zeros on both sides; "causal" (Conv1D): zeros before the first step.
    #[config(default)]
    pub padding: Padding,
    /// "channels_last" or "channels_first".
    #[config(default, null = DataFormat::ChannelsLast)]
    pub data_format: DataFormat,
    /// Distance between the places of a window, along each axis.
    #[config(default = 1, range = "[1, inf)")]
    pub dilation_rate: Sizes<RANK>,
    /// Into how many groups channels and filters are split, each convolved by itself.
    #[config(default = 1, range = "[1, inf)")]
    pub groups: usize,
    /// Function applied to the result.
    #[config(default = "linear", null = "linear")]
    pub activation: ActivationFn,
    /// Whether there is a bias.
    #[config(default = true)]
    pub use_bias: bool,
    /// First values of the kernel.
    #[config(default = "glorot_uniform")]
    pub kernel_initializer: Initializer,
    /// First values of the bias.
    #[config(default = "zeros")]
    pub bias_initializer: Initializer,
    /// Penalty on the kernel.
    pub kernel_regularizer: Option<Regularizer>,
    /// Penalty on the bias.
    pub bias_regularizer: Option<Regularizer>,
    /// Projection of the kernel after each update.
    pub kernel_constraint: Option<Constraint>,
    /// Projection of the bias after each update.
    pub bias_constraint: Option<Constraint>,
    /// Rank of LoRA, which freezes the kernel and trains a change of it of this rank: see
    /// [`LayerEntry::enable_lora`](crate::LayerEntry::enable_lora).
    #[config(skip_none, range = "[1, inf)")]
    pub lora_rank: Option<usize>,
    /// Strength of LoRA; left out, the rank.
    #[config(skip_none)]
    pub lora_alpha: Option<f64>,
}

impl<const RANK: usize> Conv<RANK> {
    fn windows(&self) -> WindowSizes<'_> {
        window_sizes(&self.kernel_size, &self.strides, &self.dilation_rate, self.padding)
    }

    fn spatial(&self, x: &Args<Spec>) -> Result<Spatial> {
        let x = x.single(Self::CLASS_NAME)?;
        let spatial = Spatial::new(x, RANK, self.data_format, Self::CLASS_NAME)?;
        let channels = spatial.known_channels()?;
        if !channels.is_multiple_of(self.groups) {
            let message = format!(
                "groups must divide the channels of the input: {} groups, {channels} channels",
                self.groups
            );
            return Err(Error::layer("", message));
        }
        Ok(spatial)
    }
}

impl<const RANK: usize> Layer for Conv<RANK> {
    fn check(&self) -> Result<()> {
        self.activation.get().map_err(|e| e.under("activation"))?;
        lora::check(self, self.kernel_constraint.is_some())?;
        self.padding.check(RANK == 1)?;
        check_strides(&self.strides.0, &self.dilation_rate.0)?;
        let divides = self.filters.is_multiple_of(self.groups);
        require(divides, "groups", &format!("a divisor of {} filters", self.filters), self.groups)
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let spatial = self.spatial(x)?;
        let dims = convolved(&spatial, &self.windows(), self.filters, &self.activation)?;
        Ok(vec![x.single(Self::CLASS_NAME)?.with_dims(dims)])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let channels = self.spatial(x)?.known_channels()? / self.groups;
        let dims = [&self.kernel_size.0[..], &[channels, self.filters]].concat();
        let (initializer, regularizer, constraint) =
            (&self.kernel_initializer, &self.kernel_regularizer, &self.kernel_constraint);
        let mut specs =
            vec![weight("kernel", &dims, "kernel", initializer, regularizer, constraint)?];
        let (initializer, regularizer, constraint) =
            (&self.bias_initializer, &self.bias_regularizer, &self.bias_constraint);
        let dims = self.use_bias.then_some(std::slice::from_ref(&self.filters));
        specs.extend(bias(dims, initializer, regularizer, constraint)?);
        Ok(lora::with_lora(self, specs))
    }

    lora::of_fields!("kernel");

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let kernel = lora::adapted(self, call, "kernel")?;
        let following = call.following();
        let bias = following.bias(call.find_weight("bias"))?;
        let windows = self.windows();
        let y = in_format(
            call.single()?,
            self.data_format,
            following.activation(self.activation.get()?),
            |i, size| windows.axis(i, size),
            |x, axes, f| {
                let epilogue = Epilogue::new(bias.as_ref(), f).scaled(following.factor());
                Ok(sconce_ops::convolution(x, &kernel, axes, self.groups, &epilogue)?)
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
