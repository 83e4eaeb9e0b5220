//! AdaptiveMaxPooling1D, AdaptiveMaxPooling2D, AdaptiveMaxPooling3D: the largest value of windows that give a stated size.

use super::{adapted, pool_segments};
use crate::spatial::Sizes;
use crate::{Call, DataFormat, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor};

/// Over one spatial axis, such as time.
pub type AdaptiveMaxPooling1D = AdaptiveMaxPooling<1>;
/// Over the height and width of images.
pub type AdaptiveMaxPooling2D = AdaptiveMaxPooling<2>;
/// Over depth, height and width.
pub type AdaptiveMaxPooling3D = AdaptiveMaxPooling<3>;

/// The largest values of as many windows as stated, whatever the size of the input.
///
/// Of an axis of length n, window i of `output_size` reaches from `i n / output_size` rounded down to `(i + 1) n /
/// output_size` rounded up. Of equal values the first one has the gradient. x `[batch, spatial.., channels]`, y `[batch, output_size.., channels]`. Keras:
/// `AdaptiveMaxPooling1D`, `AdaptiveMaxPooling2D`, `AdaptiveMaxPooling3D`.
#[derive(Clone, Debug, Config)]
#[config(named, name = "AdaptiveMaxPooling{RANK}D")]
pub struct AdaptiveMaxPooling<const RANK: usize> {
    /// Windows along each axis.
    #[config(range = "[1, inf)")]
    pub output_size: Sizes<RANK>,
    /// "channels_last" or "channels_first".
    #[config(default, null = DataFormat::ChannelsLast)]
    pub data_format: DataFormat,
}

impl<const RANK: usize> Layer for AdaptiveMaxPooling<RANK> {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single(Self::CLASS_NAME)?;
        Ok(vec![adapted(x, &self.output_size.0, self.data_format, Self::CLASS_NAME)?])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let operation = |x: &Tensor, segments| Ok(sconce_ops::segment_max(x, segments)?);
        Ok(vec![pool_segments(call.single()?, &self.output_size.0, self.data_format, operation)?])
    }
}
