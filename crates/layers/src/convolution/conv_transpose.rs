//! Conv1DTranspose, Conv2DTranspose, Conv3DTranspose: the gradient of a convolution, which enlarges images.

use super::{activated, check_strides, in_format, window_sizes};
use crate::constraints::Constraint;
use crate::fields::{bias, weight};
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::spatial::{Padding, Sizes, Spatial, WindowSizes};
use crate::{Call, DataFormat, Layer};
use sconce_core::{Args, Config, Error, Result, Spec, Tensor, WeightSpec};
use sconce_ops::ActivationFn;
use sconce_ops::activations::Range;

/// Over one spatial axis, such as time.
pub type Conv1DTranspose = ConvTranspose<1>;
/// Over the height and width of images.
pub type Conv2DTranspose = ConvTranspose<2>;
/// Over depth, height and width.
pub type Conv3DTranspose = ConvTranspose<3>;

/// A transposed convolution: `y = f(z + bias)`, `z[o * strides + k * dilation_rate - padding] += x[o] kernel[k]`.
///
/// x `[batch, spatial.., channels]`, kernel `[kernel_size.., filters, channels]`, bias `[filters]`, y `[batch,
/// spatial.., filters]`. An axis of length n becomes `n strides` with "same" padding, `(n - 1) strides +
/// max(reach, strides)` with "valid", where `reach = (kernel_size - 1) dilation_rate + 1`. Defaults as in Keras:
/// strides 1, no padding, linear, with bias, `glorot_uniform` kernel, zero bias. Keras: `Conv1DTranspose`,
/// `Conv2DTranspose`, `Conv3DTranspose`.
#[derive(Clone, Debug, Config)]
#[config(named, name = "Conv{RANK}DTranspose")]
pub struct ConvTranspose<const RANK: usize> {
    /// Number of filters, the channels that come out; at least 1.
    #[config(range = "[1, inf)")]
    pub filters: usize,
    /// Size of the windows, along each axis.
    #[config(range = "[1, inf)")]
    pub kernel_size: Sizes<RANK>,
    /// Distance between windows in the result, along each axis.
    #[config(default = 1, range = "[1, inf)")]
    pub strides: Sizes<RANK>,
    /// "valid": the whole result; "same": cut to `strides` times the input.
    #[config(default)]
    pub padding: Padding,
    /// With it an axis of length n becomes `(n - 1) strides + output_padding` and the reach of a window ("same"
    /// padding: 1 if the reach is odd, else 0); less than the strides.
    pub output_padding: Option<Sizes<RANK>>,
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
}

impl<const RANK: usize> ConvTranspose<RANK> {
    fn windows(&self) -> WindowSizes<'_> {
        window_sizes(&self.kernel_size, &self.strides, &self.dilation_rate, self.padding)
    }

    fn padded(&self, axis: usize) -> Option<usize> {
        self.output_padding.as_ref().and_then(|sizes| sizes.0.get(axis).copied())
    }

    fn spatial(&self, x: &Args<Spec>) -> Result<Spatial> {
        Spatial::new(x.single(Self::CLASS_NAME)?, RANK, self.data_format, Self::CLASS_NAME)
    }
}

impl<const RANK: usize> Layer for ConvTranspose<RANK> {
    fn check(&self) -> Result<()> {
        self.activation.get().map_err(|e| e.under("activation"))?;
        self.padding.check(false)?;
        check_strides(&self.strides.0, &self.dilation_rate.0)?;
        let output_padding = self.output_padding.iter().flat_map(|sizes| sizes.0);
        match output_padding.zip(self.strides.0).find(|(more, stride)| more >= stride) {
            None => Ok(()),
            Some((more, stride)) => {
                let message =
                    format!("must be less than strides, found {more} for a stride of {stride}");
                Err(Error::config("output_padding", message))
            }
        }
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let (spatial, windows) = (self.spatial(x)?, self.windows());
        spatial.known_channels()?;
        let dims = spatial.outputs(Some(self.filters), |i, size| {
            Ok(windows.transposed(i, size, self.padded(i))?.input)
        })?;
        let dims = activated(&dims, &self.activation)?;
        Ok(vec![x.single(Self::CLASS_NAME)?.with_dims(dims)])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let channels = self.spatial(x)?.known_channels()?;
        let dims = [&self.kernel_size.0[..], &[self.filters, channels]].concat();
        let (initializer, regularizer, constraint) =
            (&self.kernel_initializer, &self.kernel_regularizer, &self.kernel_constraint);
        let mut specs =
            vec![weight("kernel", &dims, "kernel", initializer, regularizer, constraint)?];
        let (initializer, regularizer, constraint) =
            (&self.bias_initializer, &self.bias_regularizer, &self.bias_constraint);
        let dims = self.use_bias.then_some(std::slice::from_ref(&self.filters));
        specs.extend(bias(dims, initializer, regularizer, constraint)?);
        Ok(specs)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let (kernel, bias) = (call.weight("kernel")?, call.find_weight("bias"));
        let windows = self.windows();
        let y = in_format(
            call.single()?,
            self.data_format,
            self.activation.get()?,
            |i, size| windows.transposed(i, size, self.padded(i)),
            |x, axes, f| Ok(sconce_ops::convolution_transpose(x, &kernel, bias.as_ref(), axes, f)?),
        )?;
        Ok(vec![y])
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        Some(self.activation.get().is_ok_and(|a| a.range() == Range::Probability))
    }
}
