//! GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D: the average of each channel.

use super::{global, pool_all};
use crate::{Call, DataFormat, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor};

/// Over one spatial axis, such as time.
pub type GlobalAveragePooling1D = GlobalAveragePooling<1>;
/// Over the height and width of images.
pub type GlobalAveragePooling2D = GlobalAveragePooling<2>;
/// Over depth, height and width.
pub type GlobalAveragePooling3D = GlobalAveragePooling<3>;

/// The average of each channel. In one dimension it is that of the steps that a mask keeps.
///
/// x `[batch, spatial.., channels]`, y `[batch, channels]`, or with `keepdims` `[batch, 1.., channels]`. Keras:
/// `GlobalAveragePooling1D`, `GlobalAveragePooling2D`, `GlobalAveragePooling3D`.
#[derive(Clone, Debug, Config)]
#[config(named, name = "GlobalAveragePooling{RANK}D")]
pub struct GlobalAveragePooling<const RANK: usize> {
    /// "channels_last" or "channels_first".
    #[config(default, null = DataFormat::ChannelsLast)]
    pub data_format: DataFormat,
    /// Whether the spatial axes stay, of length 1.
    #[config(default = false)]
    pub keepdims: bool,
}

impl<const RANK: usize> GlobalAveragePooling<RANK> {
    /// The average of the steps where the mask, `[batch, steps]`, is not zero.
    fn masked(&self, x: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let (steps, channels) = match self.data_format {
            DataFormat::ChannelsLast => (1, 2),
            DataFormat::ChannelsFirst => (2, 1),
        };
        let mask = mask.ne(0u8)?.unsqueeze(channels)?;
        let kept = mask.broadcast_as(x.shape())?.contiguous()?.where_cond(x, &x.zeros_like()?)?;
        let count = mask.to_dtype(x.dtype())?.sum_keepdim(steps)?;
        let average = kept.sum_keepdim(steps)?.broadcast_div(&count)?;
        Ok(if self.keepdims { average } else { average.squeeze(steps)? })
    }
}

impl<const RANK: usize> Layer for GlobalAveragePooling<RANK> {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single(Self::CLASS_NAME)?;
        Ok(vec![global(x, RANK, self.data_format, self.keepdims, Self::CLASS_NAME)?])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        if let (1, Some(mask)) = (RANK, call.mask(0)) {
            return Ok(vec![self.masked(x, mask)?]);
        }
        let operation = |x: &Tensor| Ok(sconce_ops::global_average(x)?);
        Ok(vec![pool_all(x, self.data_format, self.keepdims, operation)?])
    }

    fn supports_masking(&self) -> bool {
        RANK == 1
    }

    fn mask(&self, _call: &Call<'_>, _outputs: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        Ok(Vec::new())
    }
}
