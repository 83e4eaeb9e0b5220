//! ZeroPadding1D, ZeroPadding2D, ZeroPadding3D: zeros at the ends of spatial axes.

use super::spatial_axes::{Margins, first_axis, resized};
use crate::{Call, DataFormat, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor};

macro_rules! layers {
    ($($(#[$doc:meta])* $name:ident: $axes:literal, $padding:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(named)]
        pub struct $name {
            #[doc = $padding]
            #[config(default = Margins([[1, 1]; $axes]))]
            pub padding: Margins<$axes>,
            /// "channels_last" or "channels_first".
            #[config(default, null = DataFormat::ChannelsLast)]
            pub data_format: DataFormat,
        }

        impl Layer for $name {
            fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let x = x.single(stringify!($name))?;
                resized(x, $axes, self.data_format, stringify!($name), |axis, len| {
                    let [before, after] = self.padding.0.get(axis)?;
                    len.checked_add(*before)?.checked_add(*after)
                })
            }

            fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
                let x = call.single()?;
                let first = first_axis(x.rank(), $axes, self.data_format, stringify!($name))?;
                Ok(vec![sconce_ops::zero_padding(x, first, &self.padding.0)?])
            }

            fn casts_integers(&self) -> bool {
                false
            }
        }
    )*};
}

layers! {
    /// x `[batch, steps, channels]` to y `[batch, before + steps + after, channels]`.
    ZeroPadding1D: 1, "How many zeros are added before and after: one number, or one for each end. Default 1.";
    /// x `[batch, height, width, channels]` to a larger height and width.
    ZeroPadding2D: 2, "Rows and columns of zeros: one number, one for both ends of each axis, or `[[top, bottom], [left, right]]`. Default 1.";
    /// x `[batch, depth, height, width, channels]` to a larger depth, height and width.
    ZeroPadding3D: 3, "Zeros that are added: one number, one for both ends of each axis, or a pair for each axis. Default 1.";
}
