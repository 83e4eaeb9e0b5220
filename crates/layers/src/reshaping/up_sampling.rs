//! UpSampling1D, UpSampling2D, UpSampling3D: each value several times along spatial axes, or values in
//! between.

use super::spatial_axes::{first_axis, resized};
use crate::{Call, DataFormat, Layer, Sizes};
use sconce_core::schema::Definitions;
use sconce_core::{Args, Config, ConfigValue, Error, Json, Result, Spec, Tensor};
use sconce_ops::resize::{Interpolation, repeat, resize};

/// Each step `size` times. x `[batch, steps, channels]` to y `[batch, size steps, channels]`.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct UpSampling1D {
    /// How often each step stands in the result.
    #[config(default = 2, range = "[1, inf)")]
    pub size: usize,
}

/// Larger images. x `[batch, height, width, channels]` to y `[batch, size[0] height, size[1] width,
/// channels]`.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct UpSampling2D {
    /// Factors of height and width.
    #[config(default = 2, range = "[1, inf)")]
    pub size: Sizes<2>,
    /// "channels_last" or "channels_first".
    #[config(default, null = DataFormat::ChannelsLast)]
    pub data_format: DataFormat,
    /// "nearest", "bilinear", "bicubic", "lanczos3" or "lanczos5".
    #[config(default, with = interpolation)]
    pub interpolation: Interpolation,
}

/// Each voxel several times. x `[batch, depth, height, width, channels]` to y with depth, height and
/// width times `size`.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct UpSampling3D {
    /// Factors of depth, height and width.
    #[config(default = 2, range = "[1, inf)")]
    pub size: Sizes<3>,
    /// "channels_last" or "channels_first".
    #[config(default, null = DataFormat::ChannelsLast)]
    pub data_format: DataFormat,
}

/// Keras takes the word in any case.
mod interpolation {
    use super::{ConfigValue, Definitions, Interpolation, Json, Result};

    pub fn from_json(value: &Json) -> Result<Interpolation> {
        match value {
            Json::String(word) => Interpolation::from_json(&word.to_lowercase().into()),
            other => Interpolation::from_json(other),
        }
    }

    pub fn to_json(value: &Interpolation) -> Result<Json> {
        value.to_json()
    }

    pub fn schema(definitions: &mut Definitions) -> Json {
        Interpolation::schema(definitions)
    }
}

impl UpSampling1D {
    fn parts(&self) -> (&[usize], DataFormat, Interpolation) {
        (std::slice::from_ref(&self.size), DataFormat::ChannelsLast, Interpolation::Nearest)
    }
}

impl UpSampling2D {
    fn parts(&self) -> (&[usize], DataFormat, Interpolation) {
        (&self.size.0, self.data_format, self.interpolation)
    }
}

impl UpSampling3D {
    fn parts(&self) -> (&[usize], DataFormat, Interpolation) {
        (&self.size.0, self.data_format, Interpolation::Nearest)
    }
}

macro_rules! layers {
    ($($name:ident)*) => {$(
        impl Layer for $name {
            fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let (size, format, _) = self.parts();
                let x = x.single(stringify!($name))?;
                resized(x, size.len(), format, stringify!($name), |axis, len| {
                    len.checked_mul(*size.get(axis)?)
                })
            }

            fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
                let (size, format, interpolation) = self.parts();
                let mut x = call.single()?.clone();
                let first = first_axis(x.rank(), size.len(), format, stringify!($name))?;
                for (axis, factor) in size.iter().enumerate() {
                    x = match interpolation {
                        Interpolation::Nearest => repeat(&x, first + axis, *factor)?,
                        between => {
                            let len = x.dim(first + axis)?.checked_mul(*factor);
                            let len = len.ok_or_else(|| Error::layer("", "the result is too large"))?;
                            resize(&x, first + axis, len, between)?
                        }
                    };
                }
                Ok(vec![x])
            }
        }
    )*};
}

layers! { UpSampling1D UpSampling2D UpSampling3D }
