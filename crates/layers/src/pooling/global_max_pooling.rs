//! GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D: the largest value of each channel.

use super::{global, pool_all};
use crate::{Call, DataFormat, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor};

/// Over one spatial axis, such as time.
pub type GlobalMaxPooling1D = GlobalMaxPooling<1>;
/// Over the height and width of images.
pub type GlobalMaxPooling2D = GlobalMaxPooling<2>;
/// Over depth, height and width.
pub type GlobalMaxPooling3D = GlobalMaxPooling<3>;

/// The largest value of each channel. Equal values share the gradient.
///
/// x `[batch, spatial.., channels]`, y `[batch, channels]`, or with `keepdims` `[batch, 1.., channels]`. Keras:
/// `GlobalMaxPooling1D`, `GlobalMaxPooling2D`, `GlobalMaxPooling3D`.
#[derive(Clone, Debug, Config)]
#[config(named, name = "GlobalMaxPooling{RANK}D")]
pub struct GlobalMaxPooling<const RANK: usize> {
    /// "channels_last" or "channels_first".
    #[config(default, null = DataFormat::ChannelsLast)]
    pub data_format: DataFormat,
    /// Whether the spatial axes stay, of length 1.
    #[config(default = false)]
    pub keepdims: bool,
}

impl<const RANK: usize> Layer for GlobalMaxPooling<RANK> {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single(Self::CLASS_NAME)?;
        Ok(vec![global(x, RANK, self.data_format, self.keepdims, Self::CLASS_NAME)?])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let operation = |x: &Tensor| Ok(sconce_ops::global_max(x)?);
        Ok(vec![pool_all(call.single()?, self.data_format, self.keepdims, operation)?])
    }
}
