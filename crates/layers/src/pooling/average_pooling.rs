//! AveragePooling1D, AveragePooling2D, AveragePooling3D: the average of each window.

use super::{pool, pooled, window_sizes};
use crate::spatial::{Padding, Sizes, WindowSizes};
use crate::{Call, DataFormat, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor};
use sconce_ops::windows::Axis;

/// Over one spatial axis, such as time.
pub type AveragePooling1D = AveragePooling<1>;
/// Over the height and width of images.
pub type AveragePooling2D = AveragePooling<2>;
/// Over depth, height and width.
pub type AveragePooling3D = AveragePooling<3>;

/// The average of each window, channel by channel. Padding does not count.
///
/// x `[batch, spatial.., channels]`, y `[batch, spatial.., channels]`, whose axes are as long as there are windows:
/// `(n - pool_size) / strides + 1` with "valid" padding, `n / strides` rounded up with "same". Keras:
/// `AveragePooling1D`, `AveragePooling2D`, `AveragePooling3D`.
#[derive(Clone, Debug, Config)]
#[config(named, name = "AveragePooling{RANK}D", new(pool_size))]
pub struct AveragePooling<const RANK: usize> {
    /// Size of the windows, along each axis.
    #[config(range = "[1, inf)")]
    pub pool_size: Sizes<RANK>,
    /// "valid": windows lie inside the input; "same": padding on both sides.
    #[config(default)]
    pub padding: Padding,
    /// Distance between windows, along each axis; the size of the windows if left out.
    #[config(or = pool_size, range = "[1, inf)")]
    pub strides: Option<Sizes<RANK>>,
    /// "channels_last" or "channels_first".
    #[config(default, null = DataFormat::ChannelsLast)]
    pub data_format: DataFormat,
}

impl<const RANK: usize> AveragePooling<RANK> {
    fn windows(&self) -> WindowSizes<'_> {
        window_sizes(&self.pool_size, &self.strides, self.padding)
    }
}

impl<const RANK: usize> Layer for AveragePooling<RANK> {
    fn check(&self) -> Result<()> {
        self.padding.check(false)
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single(Self::CLASS_NAME)?;
        Ok(vec![pooled(x, self.data_format, &self.windows(), Self::CLASS_NAME)?])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        let operation = |x: &Tensor, axes: &[Axis]| Ok(sconce_ops::average_pool(x, axes)?);
        Ok(vec![pool(x, self.data_format, &self.windows(), operation)?])
    }
}
