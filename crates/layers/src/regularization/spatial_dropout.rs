//! SpatialDropout1D, SpatialDropout2D, SpatialDropout3D: dropout of whole channels.
//!
//! Tompson et al., "Efficient object localization using convolutional networks", 2014.

use super::stream;
use crate::{Call, DataFormat, Layer, seed};
use sconce_core::{Args, Config, Error, Result, Spec, Tensor};

/// In training each channel of a sample is 0 at all steps with probability `rate`, else divided by `1 -
/// rate`; elsewhere `y = x`. x and y `[batch, steps, channels]`.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct SpatialDropout1D {
    /// Probability of 0, in 0..=1.
    #[config(range = "[0, 1]")]
    pub rate: f64,
    /// A seed of its own, instead of the run's.
    #[config(with = seed)]
    pub seed: Option<u64>,
}

/// In training each channel of an image is 0 with probability `rate`, else divided by `1 - rate`;
/// elsewhere `y = x`. x and y `[batch, height, width, channels]`.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct SpatialDropout2D {
    /// Probability of 0, in 0..=1.
    #[config(range = "[0, 1]")]
    pub rate: f64,
    /// A seed of its own, instead of the run's.
    #[config(with = seed)]
    pub seed: Option<u64>,
    /// "channels_last" or "channels_first".
    #[config(default, null = DataFormat::ChannelsLast)]
    pub data_format: DataFormat,
}

/// In training each channel of a volume is 0 with probability `rate`, else divided by `1 - rate`;
/// elsewhere `y = x`. x and y `[batch, depth, height, width, channels]`.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct SpatialDropout3D {
    /// Probability of 0, in 0..=1.
    #[config(range = "[0, 1]")]
    pub rate: f64,
    /// A seed of its own, instead of the run's.
    #[config(with = seed)]
    pub seed: Option<u64>,
    /// "channels_last" or "channels_first".
    #[config(default, null = DataFormat::ChannelsLast)]
    pub data_format: DataFormat,
}

impl SpatialDropout1D {
    fn format(&self) -> DataFormat {
        DataFormat::ChannelsLast
    }
}

impl SpatialDropout2D {
    fn format(&self) -> DataFormat {
        self.data_format
    }
}

impl SpatialDropout3D {
    fn format(&self) -> DataFormat {
        self.data_format
    }
}

macro_rules! layers {
    ($($name:ident: $rank:literal;)*) => {$(
        impl Layer for $name {
            fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let x = x.single(stringify!($name))?;
                if x.dims.rank() != $rank {
                    let message = format!(
                        "{} takes inputs of {} axes, got {}",
                        stringify!($name), $rank, x.dims
                    );
                    return Err(Error::layer("", message));
                }
                Ok(vec![x.clone()])
            }

            fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
                let x = call.single()?;
                if !call.training() || self.rate == 0.0 {
                    return Ok(vec![x.clone()]);
                }
                let channels = match self.format() {
                    DataFormat::ChannelsLast => x.rank() - 1,
                    DataFormat::ChannelsFirst => 1,
                };
                let length = |(axis, len): (usize, &usize)| {
                    if axis == 0 || axis == channels { *len } else { 1 }
                };
                let dims: Vec<usize> = x.dims().iter().enumerate().map(length).collect();
                let stream = stream(call, self.seed);
                Ok(vec![sconce_ops::dropout(x, self.rate, &dims, &stream)?])
            }

            fn supports_masking(&self) -> bool {
                true
            }

            fn outputs_probabilities(&self) -> Option<bool> {
                None
            }

            fn takes_trainable(&self) -> bool {
                false
            }
        }
    )*};
}

layers! {
    SpatialDropout1D: 3;
    SpatialDropout2D: 4;
    SpatialDropout3D: 5;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerEntry;
    use sconce_core::{Context, DType, Device};

    #[test]
    fn whole_channels_are_dropped() {
        let first = |rate| SpatialDropout2D::new(rate).data_format(DataFormat::ChannelsFirst);
        for (entry, dims, channels) in [
            (LayerEntry::from(SpatialDropout1D::new(0.5)), vec![4, 3, 8], 2),
            (LayerEntry::from(SpatialDropout2D::new(0.5)), vec![4, 2, 3, 8], 3),
            (LayerEntry::from(first(0.5)), vec![4, 8, 2, 3], 1),
            (LayerEntry::from(SpatialDropout3D::new(0.5)), vec![4, 2, 2, 2, 8], 4),
        ] {
            let x = Tensor::ones(dims, DType::F32, &Device::Cpu).unwrap();
            let y = crate::run(&entry, &[&x], &mut Context::training(0, 0)).unwrap().remove(0);
            let y = y.transpose(1, channels).unwrap().flatten_from(2).unwrap();
            let y = y.to_vec3::<f32>().unwrap();
            let all: Vec<f32> = y.iter().flatten().map(|channel| channel[0]).collect();
            assert!(y.iter().flatten().all(|c| c.iter().all(|v| *v == c[0])), "{entry:?}");
            assert!(all.contains(&0.0) && all.contains(&2.0), "{entry:?}");
        }
    }
}
