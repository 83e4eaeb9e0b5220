//! The values of a tensor at other places: turned round, moved, repeated, cut to triangles, padded.

use super::arguments::tensor;
use super::shape::{count, rearranging, refused};
use super::{Operation, one};
use crate::Axes;
use sconce_core::axes::position;
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{Args, Config, ConfigValue, Dims, Json, Result, Spec, Tensor, Value};
use sconce_ops::reshape;
use serde_json::json;

/// The values of x along an axis at places, each any number of times.
pub(super) fn select(x: &Tensor, axis: usize, places: &[usize]) -> Result<Tensor> {
    if places.iter().copied().eq(0..x.dim(axis)?) {
        return Ok(x.clone());
    }
    let places: Vec<u32> = places.iter().map(|place| *place as u32).collect();
    let count = places.len();
    let places = Tensor::from_vec(places, count, x.device())?;
    Ok(x.contiguous()?.index_select(&places, axis)?)
}

rearranging! { Flip Roll Tile Repeat Tril Triu }

/// The values along axes in reverse order. Keras: `ops.flip`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Flip {
    /// The axes; all if `None`.
    pub axis: Option<Axes>,
}

impl Flip {
    fn dims(&self, x: &Dims) -> Result<Vec<Option<usize>>> {
        super::reduction::positions(&self.axis, x.rank())?;
        Ok(x.0.clone())
    }

    fn run(&self, x: &Tensor, _: Vec<usize>) -> Result<Tensor> {
        let mut y = x.clone();
        for axis in super::reduction::positions(&self.axis, x.rank())? {
            y = select(&y, axis, &(0..x.dim(axis)?).rev().collect::<Vec<_>>())?;
        }
        Ok(y)
    }
}

/// The values along axes moved on by a number of places; those at the end come first. Keras:
/// `ops.roll`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Roll {
    /// By how many places, one for each axis.
    pub shift: Axes,
    /// The axes; all values in one row if `None`.
    pub axis: Option<Axes>,
}

impl Roll {
    fn dims(&self, x: &Dims) -> Result<Vec<Option<usize>>> {
        if let Some(axes) = &self.axis {
            let (shifts, axes) = (self.shift.as_slice().len(), axes.as_slice());
            axes.iter().try_for_each(|axis| position(*axis, x.rank()).map(drop))?;
            if shifts != 1 && shifts != axes.len() {
                return refused(format!("shift has {shifts} numbers for {} axes", axes.len()));
            }
        }
        Ok(x.0.clone())
    }

    fn run(&self, x: &Tensor, dims: Vec<usize>) -> Result<Tensor> {
        let rolled = |x: &Tensor, axis: usize, shift: i64| {
            let len = x.dim(axis)?;
            let from = |i: usize| (i as i128 - i128::from(shift)).rem_euclid(len.max(1) as i128);
            select(x, axis, &(0..len).map(|i| from(i) as usize).collect::<Vec<_>>())
        };
        let shifts = self.shift.as_slice();
        let Some(axes) = &self.axis else {
            let flat = reshape(x, x.elem_count())?;
            let shift = shifts.iter().fold(0i64, |sum, shift| sum.saturating_add(*shift));
            return Ok(reshape(&rolled(&flat, 0, shift)?, dims)?);
        };
        let mut y = x.clone();
        for (i, axis) in axes.as_slice().iter().enumerate() {
            let shift = shifts.get(i).or(shifts.first()).copied().unwrap_or(0);
            y = rolled(&y, position(*axis, x.rank())?, shift)?;
        }
        Ok(y)
    }
}

/// One number or several.
#[derive(Clone, Debug, PartialEq)]
pub enum Counts {
    /// One: `2`.
    One(usize),
    /// Several: `[1, 2]`.
    Many(Vec<usize>),
}

impl Counts {
    fn as_slice(&self) -> &[usize] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl From<usize> for Counts {
    fn from(count: usize) -> Self {
        Self::One(count)
    }
}

impl<const N: usize> From<[usize; N]> for Counts {
    fn from(counts: [usize; N]) -> Self {
        Self::Many(counts.to_vec())
    }
}

impl ConfigValue for Counts {
    fn from_json(value: &Json) -> Result<Self> {
        match sconce_core::value::array_value(value) {
            Json::Array(_) => Vec::from_json(value).map(Self::Many),
            one => usize::from_json(one)
                .map(Self::One)
                .map_err(|_| mismatch("a whole number of at least 0, or a list of them", value)),
        }
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::One(one) => one.to_json(),
            Self::Many(many) => many.to_json(),
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({"type": ["integer", "array"], "minimum": 0, "items": {"type": "integer", "minimum": 0}})
    }
}

/// The values several times over, along every axis. Keras: `ops.tile`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Tile {
    /// How often along each of the last axes.
    pub repeats: Counts,
}

impl Tile {
    /// The shape of x and the repeats, with one number an axis.
    fn aligned<T: Clone>(&self, x: &[T], one: T) -> (Vec<T>, Vec<usize>) {
        let (dims, repeats) = (x.to_vec(), self.repeats.as_slice().to_vec());
        let rank = dims.len().max(repeats.len());
        let (front, missing) = (rank - dims.len(), rank - repeats.len());
        ([vec![one; front], dims].concat(), [vec![1; missing], repeats].concat())
    }

    fn dims(&self, x: &Dims) -> Result<Vec<Option<usize>>> {
        let (dims, repeats) = self.aligned(&x.0, Some(1));
        let length = |(axis, repeats): (&Option<usize>, &usize)| match axis {
            None => Ok(None),
            Some(length) => match length.checked_mul(*repeats) {
                Some(length) => Ok(Some(length)),
                None => refused(format!("repeats {:?} are too many", self.repeats.as_slice())),
            },
        };
        dims.iter().zip(&repeats).map(length).collect()
    }

    fn run(&self, x: &Tensor, _: Vec<usize>) -> Result<Tensor> {
        let (dims, repeats) = self.aligned(x.dims(), 1);
        let mut y = reshape(x, dims.clone())?;
        for (axis, (len, repeats)) in dims.iter().zip(repeats).enumerate() {
            let places = (0..len.saturating_mul(repeats)).map(|i| i % len.max(&1));
            y = select(&y, axis, &places.collect::<Vec<_>>())?;
        }
        Ok(y)
    }
}

/// Each value several times in a row. Keras: `ops.repeat`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Repeat {
    /// How often each, or one number for each value.
    pub repeats: Counts,
    /// The axis; all values in one row if `None`.
    pub axis: Option<i64>,
}

impl Repeat {
    fn length(&self, length: Option<usize>) -> Result<Option<usize>> {
        match (self.repeats.as_slice(), length) {
            ([_], None) => Ok(None),
            ([repeats], Some(length)) => match length.checked_mul(*repeats) {
                Some(length) => Ok(Some(length)),
                None => refused(format!("{repeats} repeats are too many")),
            },
            (repeats, length) => {
                if length.is_some_and(|length| length != repeats.len()) {
                    return refused(format!("repeats has {} numbers", repeats.len()));
                }
                let sum = repeats.iter().try_fold(0usize, |sum, count| sum.checked_add(*count));
                sum.map_or_else(|| refused("repeats are too many".to_string()), |sum| Ok(Some(sum)))
            }
        }
    }

    fn dims(&self, x: &Dims) -> Result<Vec<Option<usize>>> {
        let Some(axis) = self.axis else { return Ok(vec![self.length(count(&x.0))?]) };
        let axis = position(axis, x.rank())?;
        let mut dims = x.0.clone();
        if let Some(length) = dims.get_mut(axis) {
            *length = self.length(*length)?;
        }
        Ok(dims)
    }

    fn run(&self, x: &Tensor, _: Vec<usize>) -> Result<Tensor> {
        let (x, axis) = match self.axis {
            Some(axis) => (x.clone(), position(axis, x.rank())?),
            None => (reshape(x, x.elem_count())?, 0),
        };
        let repeats = self.repeats.as_slice();
        let times = |i: usize| repeats.get(i).filter(|_| repeats.len() > 1).or(repeats.first());
        let places =
            (0..x.dim(axis)?).flat_map(|i| std::iter::repeat_n(i, times(i).copied().unwrap_or(1)));
        select(&x, axis, &places.collect::<Vec<_>>())
    }
}

macro_rules! triangles {
    ($($(#[$doc:meta])* $name:ident $keeps:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(module = "keras.src.ops.numpy")]
        pub struct $name {
            /// Which diagonal ends the triangle; positive ones are above the main one.
            #[config(default = 0)]
            pub k: i64,
        }

        impl $name {
            fn dims(&self, x: &Dims) -> Result<Vec<Option<usize>>> {
                match x.rank() {
                    0 | 1 => refused(format!("takes matrices, got inputs of {x}")),
                    _ => Ok(x.0.clone()),
                }
            }

            fn run(&self, x: &Tensor, dims: Vec<usize>) -> Result<Tensor> {
                let [.., rows, columns] = dims[..] else { return refused("takes matrices".into()) };
                let inside = |i: usize, j: usize| (j as i64).saturating_sub(i as i64) $keeps self.k;
                let kept = (0..rows).flat_map(|i| (0..columns).map(move |j| u8::from(inside(i, j))));
                let kept = Tensor::from_vec(kept.collect::<Vec<_>>(), (rows, columns), x.device())?;
                let kept = kept.broadcast_as(x.shape())?.contiguous()?;
                Ok(kept.where_cond(x, &x.zeros_like()?)?)
            }
        }
    )*};
}

triangles! {
    /// The lower triangle of matrices, zeros above. Keras: `ops.tril`.
    Tril <=;
    /// The upper triangle of matrices, zeros below. Keras: `ops.triu`.
    Triu >=;
}

/// x with values around it. Keras: `ops.pad`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Pad {
    /// How many before and after each axis; one pair, or one number, for all.
    #[config(with = widths)]
    pub pad_width: Vec<[usize; 2]>,
    /// What stands there.
    #[config(default = PadMode::Constant)]
    pub mode: PadMode,
}

/// What [`Pad`] puts around a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ConfigValue)]
pub enum PadMode {
    /// A value, 0 unless the call states `constant_values`.
    Constant,
    /// The outermost value.
    Edge,
    /// The values mirrored at the outermost one, which is not repeated.
    Reflect,
    /// The values mirrored behind the outermost one.
    Symmetric,
    /// The values from the other end.
    Wrap,
}

/// Keras takes a number, a pair, or pairs.
mod widths {
    use super::{ConfigValue, Definitions, Json, Result, json, mismatch};

    pub fn from_json(value: &Json) -> Result<Vec<[usize; 2]>> {
        let wrong = |_| mismatch("a number, a pair of numbers, or one pair for each axis", value);
        let pair = |value: &Json| match Vec::<usize>::from_json(value)?[..] {
            [before, after] => Ok([before, after]),
            [both] => Ok([both, both]),
            _ => Err(mismatch("a pair of numbers", value)),
        };
        match value {
            Json::Array(items) if items.iter().any(Json::is_array) => {
                items.iter().map(pair).collect::<Result<_>>().map_err(wrong)
            }
            Json::Array(_) => pair(value).map(|pair| vec![pair]).map_err(wrong),
            both => usize::from_json(both).map(|both| vec![[both, both]]).map_err(wrong),
        }
    }

    pub fn to_json(value: &Vec<[usize; 2]>) -> Result<Json> {
        Ok(json!(value))
    }

    pub fn schema(_: &mut Definitions) -> Json {
        json!({"type": ["integer", "array"], "minimum": 0})
    }
}

impl Pad {
    fn widths(&self, rank: usize) -> Result<Vec<[usize; 2]>> {
        match self.pad_width.as_slice() {
            [one] => Ok(vec![*one; rank]),
            many if many.len() == rank => Ok(many.to_vec()),
            many => refused(format!("pad_width has {} pairs, the inputs {rank} axes", many.len())),
        }
    }

    /// Where the values of a padded axis come from, for all modes but the constant one.
    fn places(&self, len: usize, [before, after]: [usize; 2]) -> Result<Vec<usize>> {
        if len == 0 && before + after > 0 {
            return refused("an axis of length 0 has no values to pad with".to_string());
        }
        let n = len as i128;
        let place = |i: i128| match self.mode {
            PadMode::Edge | PadMode::Constant => i.clamp(0, (n - 1).max(0)),
            PadMode::Wrap => i.rem_euclid(n.max(1)),
            PadMode::Symmetric => {
                let i = i.rem_euclid((2 * n).max(1));
                if i < n { i } else { 2 * n - 1 - i }
            }
            PadMode::Reflect => {
                let i = i.rem_euclid((2 * n - 2).max(1));
                if i < n { i } else { 2 * n - 2 - i }
            }
        };
        let (before, end) = (before as i128, (len + after) as i128);
        Ok((-before..end).map(|i| place(i) as usize).collect())
    }
}

impl Operation for Pad {
    const ARGUMENTS: &'static [&'static str] = &["x", "constant_values"];

    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = tensor(x, 0, "x")?;
        let widths = self.widths(x.dims.rank())?;
        let axis = |(length, [before, after]): (&Option<usize>, [usize; 2])| {
            let Some(length) = length else { return Ok(None) };
            match length.checked_add(before).and_then(|length| length.checked_add(after)) {
                Some(length) if length <= u32::MAX as usize => Ok(Some(length)),
                _ => refused(format!("pad_width {before}, {after} is too much")),
            }
        };
        let dims = x.dims.0.iter().zip(widths).map(axis).collect::<Result<_>>()?;
        one(x.with_dims(Dims(dims)))
    }

    fn compute(&self, args: &Args<Value>) -> Result<Vec<Tensor>> {
        let x = &tensor(args, 0, "x")?.tensor;
        let value = args.at(1, "constant_values").and_then(|arg| arg.json());
        let value = value.and_then(Json::as_f64).unwrap_or(0.0);
        let mut y = x.clone();
        for (axis, width) in self.widths(x.rank())?.into_iter().enumerate() {
            y = match self.mode {
                _ if width == [0, 0] => y,
                PadMode::Constant => {
                    let side = |length: usize| {
                        let mut dims = y.dims().to_vec();
                        dims[axis] = length;
                        Tensor::full(value, dims, y.device())?.to_dtype(y.dtype())
                    };
                    // A side without elements is left out: CUDA does not fill it.
                    let mut parts = Vec::with_capacity(3);
                    if width[0] > 0 {
                        parts.push(side(width[0])?);
                    }
                    parts.push(y.clone());
                    if width[1] > 0 {
                        parts.push(side(width[1])?);
                    }
                    Tensor::cat(&parts, axis)?
                }
                _ => select(&y, axis, &self.places(x.dim(axis)?, width)?)?,
            };
        }
        one(y)
    }
}
