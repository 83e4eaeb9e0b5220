//! What convolution and pooling share: sizes along the spatial axes, padding, where windows lie, and
//! where the channels are.

use crate::DataFormat;
use sconce_core::schema::Definitions;
use sconce_core::value::{Numbers, mismatch};
use sconce_core::{ConfigValue, Dims, Error, Json, Result, Spec, Tensor};
use sconce_ops::windows::{Axis, Windows};
use serde_json::json;

/// A whole number for each spatial axis: `3` for all of them, or `[3, 5]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes<const RANK: usize>(pub [usize; RANK]);

impl<const RANK: usize> From<usize> for Sizes<RANK> {
    fn from(size: usize) -> Self {
        Self([size; RANK])
    }
}

impl<const RANK: usize> From<[usize; RANK]> for Sizes<RANK> {
    fn from(sizes: [usize; RANK]) -> Self {
        Self(sizes)
    }
}

impl From<(usize, usize)> for Sizes<2> {
    fn from((height, width): (usize, usize)) -> Self {
        Self([height, width])
    }
}

impl From<(usize, usize, usize)> for Sizes<3> {
    fn from((depth, height, width): (usize, usize, usize)) -> Self {
        Self([depth, height, width])
    }
}

impl<const RANK: usize> ConfigValue for Sizes<RANK> {
    fn from_json(value: &Json) -> Result<Self> {
        if let Ok(size) = usize::from_json(value) {
            return Ok(size.into());
        }
        let sizes = value.as_array().filter(|list| list.len() == RANK);
        let sizes = sizes.and_then(|list| {
            list.iter().map(usize::from_json).collect::<Result<Vec<usize>>>().ok()?.try_into().ok()
        });
        sizes.map(Self).ok_or_else(|| {
            let list = match RANK {
                1 => "a list of one".to_string(),
                _ => format!("a list of {RANK}"),
            };
            mismatch(&format!("a whole number of at least 0, or {list}"), value)
        })
    }

    fn to_json(&self) -> Result<Json> {
        Ok(json!(self.0.as_slice()))
    }

    fn schema(_: &mut Definitions) -> Json {
        let size = json!({"type": "integer", "minimum": 0});
        json!({"anyOf": [
            size,
            {"type": "array", "items": size, "minItems": RANK, "maxItems": RANK},
        ]})
    }
}

impl<const RANK: usize> Numbers for Sizes<RANK> {
    const WHOLE: bool = true;

    fn find_number(&self, test: &dyn Fn(f64) -> bool) -> Option<f64> {
        self.0.iter().map(|size| *size as f64).find(|size| test(*size))
    }
}

/// What lies around the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum Padding {
    /// Nothing: windows lie inside the input.
    #[default]
    #[config(alias = "VALID")]
    Valid,
    /// Zeros on both sides, one more after than before if their number is odd, so that there are
    /// `ceil(input / stride)` windows.
    #[config(alias = "SAME")]
    Same,
    /// Zeros before the input only, so that no window sees later steps; for `Conv1D`.
    #[config(alias = "CAUSAL")]
    Causal,
}

impl Padding {
    /// Refuses causal padding where there is no order of steps.
    pub(crate) fn check(self, may_be_causal: bool) -> Result<()> {
        if self == Self::Causal && !may_be_causal {
            let message = "\"causal\" padding is for Conv1D; use \"valid\" or \"same\"";
            return Err(Error::config("padding", message));
        }
        Ok(())
    }

    /// The windows over an axis of a length. `None` if there is none, or numbers overflow.
    fn windows(self, input: usize, kernel: usize, stride: usize, dilation: usize) -> Option<Axis> {
        let reach = kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
        let same = || input.checked_sub(1).map(|last| last / stride + 1);
        let (output, pad) = match self {
            Self::Valid => (input.checked_sub(reach)? / stride + 1, 0),
            Self::Same => {
                let output = same()?;
                let end = (output - 1).checked_mul(stride)?.checked_add(reach)?;
                (output, end.saturating_sub(input) / 2)
            }
            Self::Causal => (same()?, reach - 1),
        };
        Some(Axis { input, output, kernel, stride, dilation, pad })
    }

    /// The windows, over the result, of the convolution that a transposed convolution reverses; `steps`
    /// is the length of its input. Numbers as Keras has them on every backend.
    fn transposed(
        self,
        steps: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        output_padding: Option<usize>,
    ) -> Option<Axis> {
        let reach = kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
        let before_last = steps.checked_sub(1)?.checked_mul(stride)?;
        let (input, pad) = match (self, output_padding) {
            (Self::Valid, None) => (before_last.checked_add(reach.max(stride))?, 0),
            (Self::Valid, Some(more)) => (before_last.checked_add(reach)?.checked_add(more)?, 0),
            (_, None) => {
                let around = stride.checked_add(reach)?.checked_sub(2)?;
                let before = around.div_ceil(2).min(reach - 1);
                (steps.checked_mul(stride)?, reach - 1 - before)
            }
            (_, Some(more)) => {
                let around = (reach + reach % 2).checked_add(more)?.checked_sub(2)?;
                let before = around.div_ceil(2).min(reach - 1);
                (before_last.checked_add(reach % 2)?.checked_add(more)?, reach - 1 - before)
            }
        };
        Some(Axis { input, output: steps, kernel, stride, dilation, pad })
    }
}

/// The axes of an input of spatial layers.
pub(crate) struct Spatial {
    format: DataFormat,
    batch: Option<usize>,
    /// Lengths of the spatial axes.
    pub sizes: Vec<Option<usize>>,
    /// Number of channels.
    pub channels: Option<usize>,
}

const NAMES: [&str; 3] = ["depth", "height", "width"];

/// The names of the axes of an input.
fn axes(rank: usize, format: DataFormat) -> String {
    let spatial = match rank {
        1 => vec!["steps"],
        rank => NAMES[3usize.saturating_sub(rank)..].to_vec(),
    };
    match format {
        DataFormat::ChannelsLast => format!("(batch, {}, channels)", spatial.join(", ")),
        DataFormat::ChannelsFirst => format!("(batch, channels, {})", spatial.join(", ")),
    }
}

impl Spatial {
    /// Those of an input with `rank` spatial axes.
    pub fn new(x: &Spec, rank: usize, format: DataFormat, class_name: &str) -> Result<Self> {
        let spatial = match (format, x.dims.0.as_slice()) {
            (DataFormat::ChannelsLast, [batch, sizes @ .., channels]) if sizes.len() == rank => {
                Self { format, batch: *batch, sizes: sizes.to_vec(), channels: *channels }
            }
            (DataFormat::ChannelsFirst, [batch, channels, sizes @ ..]) if sizes.len() == rank => {
                Self { format, batch: *batch, sizes: sizes.to_vec(), channels: *channels }
            }
            _ => {
                let expected = axes(rank, format);
                let message =
                    format!("{class_name} takes inputs of shape {expected}, got {}", x.dims);
                return Err(Error::layer("", message));
            }
        };
        Ok(spatial)
    }

    /// The number of channels, which must be known.
    pub fn known_channels(&self) -> Result<usize> {
        let known = self.channels.filter(|channels| *channels > 0);
        known.ok_or_else(|| {
            let shape = self.with(self.sizes.clone(), self.channels);
            Error::layer(
                "",
                format!("the axis of channels must be known, the input shape is {shape}"),
            )
        })
    }

    /// The same batch with other sizes and channels.
    pub fn with(&self, sizes: Vec<Option<usize>>, channels: Option<usize>) -> Dims {
        let (batch, sizes) = ([self.batch], sizes.into_iter());
        Dims(match self.format {
            DataFormat::ChannelsLast => batch.into_iter().chain(sizes).chain([channels]).collect(),
            DataFormat::ChannelsFirst => batch.into_iter().chain([channels]).chain(sizes).collect(),
        })
    }

    /// The shape of a result with these channels, whose axes have the length `length(axis, size)` where
    /// the size is known.
    pub fn outputs(
        &self,
        channels: Option<usize>,
        length: impl Fn(usize, usize) -> Result<usize>,
    ) -> Result<Dims> {
        let sizes = self.sizes.iter().enumerate();
        let sizes = sizes.map(|(i, size)| size.map(|size| length(i, size)).transpose());
        let dims = self.with(sizes.collect::<Result<_>>()?, channels);
        let known = dims.sample().iter().flatten();
        let len = known.copied().try_fold(1usize, |len, size| len.checked_mul(size));
        match len.filter(|len| isize::try_from(*len).is_ok_and(|len| len < isize::MAX / 8)) {
            Some(_) => Ok(dims),
            None => Err(Error::layer(
                "",
                format!("a result of shape {dims} is beyond what memory holds"),
            )),
        }
    }
}

/// Windows as a layer states them.
pub(crate) struct WindowSizes<'a> {
    pub kernel: &'a [usize],
    pub strides: &'a [usize],
    pub dilation: &'a [usize],
    pub padding: Padding,
    /// The keys of windows and strides, for messages.
    pub key: &'static str,
}

impl WindowSizes<'_> {
    fn of(&self, axis: usize) -> [usize; 3] {
        [self.kernel, self.strides, self.dilation]
            .map(|sizes| sizes.get(axis).copied().unwrap_or_default())
    }

    /// The windows over an axis of a length.
    pub fn axis(&self, axis: usize, input: usize) -> Result<Axis> {
        let [kernel, stride, dilation] = self.of(axis);
        let windows = self.padding.windows(input, kernel, stride, dilation);
        windows.filter(fits).ok_or_else(|| self.misfit(axis, input))
    }

    /// As [`WindowSizes::axis`], of a transposed convolution.
    pub fn transposed(
        &self,
        axis: usize,
        steps: usize,
        output_padding: Option<usize>,
    ) -> Result<Axis> {
        let [kernel, stride, dilation] = self.of(axis);
        let windows = self.padding.transposed(steps, kernel, stride, dilation, output_padding);
        windows.filter(fits).ok_or_else(|| self.misfit(axis, steps))
    }

    fn misfit(&self, axis: usize, input: usize) -> Error {
        let [kernel, stride, dilation] = self.of(axis);
        let dilated = match dilation {
            1 => String::new(),
            _ => format!(", dilation_rate {dilation}"),
        };
        let message = format!(
            "{} {kernel} (strides {stride}{dilated}, padding {:?}) on axis {axis} of the spatial axes leaves \
             no output for an input of length {input}, or one beyond what memory holds",
            self.key, self.padding
        );
        Error::layer("", message)
    }
}

fn fits(axis: &Axis) -> bool {
    Windows::new(&[*axis]).is_some()
}

impl DataFormat {
    /// A tensor in this format with the channels last.
    pub(crate) fn to_channels_last(self, x: &Tensor) -> Result<Tensor> {
        if self == Self::ChannelsLast || x.rank() < 3 {
            return Ok(x.clone());
        }
        let order: Vec<usize> = [0].into_iter().chain(2..x.rank()).chain([1]).collect();
        Ok(x.permute(order)?.contiguous()?)
    }

    /// A tensor with the channels last in this format.
    pub(crate) fn from_channels_last(self, x: &Tensor) -> Result<Tensor> {
        if self == Self::ChannelsLast || x.rank() < 3 {
            return Ok(x.clone());
        }
        let last = x.rank() - 1;
        let order: Vec<usize> = [0, last].into_iter().chain(1..last).collect();
        Ok(x.permute(order)?.contiguous()?)
    }
}
