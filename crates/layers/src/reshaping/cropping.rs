//! Cropping1D, Cropping2D, Cropping3D: without the ends of spatial axes.

use super::spatial_axes::{Margins, first_axis, resized};
use crate::{Call, DataFormat, Layer};
use sconce_core::{Args, Config, Result, Spec, Tensor};

/// x `[batch, steps, channels]` to y `[batch, steps - before - after, channels]`.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct Cropping1D {
    /// How many steps are taken away before and after: one number, or one for each end. Default 1.
    #[config(default = Margins([[1, 1]]))]
    pub cropping: Margins<1>,
}

/// x `[batch, height, width, channels]` to what is left of height and width.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct Cropping2D {
    /// Rows and columns that are taken away: one number, one for both ends of each axis, or
    /// `[[top, bottom], [left, right]]`. Default none.
    #[config(default = Margins([[0, 0]; 2]))]
    pub cropping: Margins<2>,
    /// "channels_last" or "channels_first".
    #[config(default, null = DataFormat::ChannelsLast)]
    pub data_format: DataFormat,
}

/// x `[batch, depth, height, width, channels]` to what is left of depth, height and width.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct Cropping3D {
    /// What is taken away: one number, one for both ends of each axis, or a pair for each axis.
    /// Default 1.
    #[config(default = Margins([[1, 1]; 3]))]
    pub cropping: Margins<3>,
    /// "channels_last" or "channels_first".
    #[config(default, null = DataFormat::ChannelsLast)]
    pub data_format: DataFormat,
}

impl Cropping1D {
    fn parts(&self) -> (&[[usize; 2]], DataFormat) {
        (&self.cropping.0, DataFormat::ChannelsLast)
    }
}

impl Cropping2D {
    fn parts(&self) -> (&[[usize; 2]], DataFormat) {
        (&self.cropping.0, self.data_format)
    }
}

impl Cropping3D {
    fn parts(&self) -> (&[[usize; 2]], DataFormat) {
        (&self.cropping.0, self.data_format)
    }
}

macro_rules! layers {
    ($($name:ident)*) => {$(
        impl Layer for $name {
            fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let (cropping, format) = self.parts();
                let x = x.single(stringify!($name))?;
                resized(x, cropping.len(), format, stringify!($name), |axis, len| {
                    let [before, after] = cropping.get(axis)?;
                    len.checked_sub(*before)?.checked_sub(*after).filter(|len| *len > 0)
                })
            }

            fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
                let (cropping, format) = self.parts();
                let mut x = call.single()?.clone();
                let first = first_axis(x.rank(), cropping.len(), format, stringify!($name))?;
                for (axis, [before, after]) in cropping.iter().enumerate() {
                    let len = x.dim(first + axis)?;
                    let left = len.saturating_sub(before.saturating_add(*after));
                    x = x.narrow(first + axis, (*before).min(len - left), left)?;
                }
                Ok(vec![x.contiguous()?])
            }

            fn casts_integers(&self) -> bool {
                false
            }

            fn outputs_probabilities(&self) -> Option<bool> {
                None
            }
        }
    )*};
}

layers! { Cropping1D Cropping2D Cropping3D }
