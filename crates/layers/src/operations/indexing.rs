//! Selections: by place, by index, by condition.

use super::arguments::{Operand, Type, broadcast, common, device, operands, tensor};
use super::creation::stated;
use super::rearrangement::select;
use super::{Operation, one};
use sconce_core::axes::position;
use sconce_core::device::cast;
use sconce_core::value::mismatch;
use sconce_core::{
    Arg, Args, Config, ConfigValue, DType, Dims, Error, Json, Result, Spec, Tensor, Value,
};
use sconce_ops::reshape;
use serde_json::json;

/// One part of an index, `x[1]`, `x[1:3]`, `x[None]`, `x[...]` in Python.
#[derive(Clone, Debug, PartialEq)]
pub enum Index {
    /// One place, which takes the axis away; negative ones count from the end.
    At(i64),
    /// A range of places with steps, as Python's slice; negative ones count from the end.
    Slice {
        /// The first place.
        start: Option<i64>,
        /// The end, which is not part of it.
        stop: Option<i64>,
        /// From one place to the next; negative steps go backward.
        step: Option<i64>,
    },
    /// A new axis of length 1.
    NewAxis,
    /// As many whole axes as are left.
    Ellipsis,
}

impl From<i64> for Index {
    fn from(place: i64) -> Self {
        Self::At(place)
    }
}

impl From<std::ops::RangeFull> for Index {
    fn from(_: std::ops::RangeFull) -> Self {
        Self::Slice { start: None, stop: None, step: None }
    }
}

impl From<std::ops::Range<i64>> for Index {
    fn from(range: std::ops::Range<i64>) -> Self {
        Self::Slice { start: Some(range.start), stop: Some(range.end), step: None }
    }
}

impl From<std::ops::RangeFrom<i64>> for Index {
    fn from(range: std::ops::RangeFrom<i64>) -> Self {
        Self::Slice { start: Some(range.start), stop: None, step: None }
    }
}

impl From<std::ops::RangeTo<i64>> for Index {
    fn from(range: std::ops::RangeTo<i64>) -> Self {
        Self::Slice { start: None, stop: Some(range.end), step: None }
    }
}

impl Index {
    /// Every `step`-th place of an axis; backward if negative.
    pub fn every(step: i64) -> Self {
        Self::Slice { start: None, stop: None, step: Some(step) }
    }

    /// As Keras writes it.
    pub fn to_json(&self) -> Json {
        match self {
            Self::At(place) => json!(place),
            Self::Slice { start, stop, step } => json!({
                "class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step},
            }),
            Self::NewAxis => Json::Null,
            Self::Ellipsis => json!({"class_name": "__ellipsis__", "config": {}}),
        }
    }

    fn from_json(json: &Json) -> Result<Self> {
        let place = |key: &str| {
            let value = json.pointer(&format!("/config/{key}")).unwrap_or(&Json::Null);
            Option::<i64>::from_json(value).map_err(|e| e.under(key))
        };
        match json.get("class_name").and_then(Json::as_str) {
            Some("__slice__") => Ok(Self::Slice {
                start: place("start")?,
                stop: place("stop")?,
                step: place("step")?,
            }),
            Some("__ellipsis__") => Ok(Self::Ellipsis),
            _ if json.is_null() => Ok(Self::NewAxis),
            _ => i64::from_json(json)
                .map(Self::At)
                .map_err(|_| mismatch("a place, a slice, None or an ellipsis", json)),
        }
    }
}

/// The places that Python's slice takes of an axis.
fn places(
    start: Option<i64>,
    stop: Option<i64>,
    step: Option<i64>,
    len: usize,
) -> Result<Vec<usize>> {
    let (len, step) = (len as i128, i128::from(step.unwrap_or(1)));
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let clamped = |place: Option<i64>, default: i128| match place.map(i128::from) {
        Some(place) if place < 0 => (place + len).clamp(low, high),
        Some(place) => place.clamp(low, high),
        None => default,
    };
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    let (start, stop) = (clamped(start, first), clamped(stop, last));
    if step == 0 {
        return Err(Error::layer("", "the step of a slice must not be 0"));
    }
    let count = ((stop - start) * step.signum() + step.abs() - 1).max(0) / step.abs();
    Ok((0..count).map(|i| (start + i * step) as usize).collect())
}

/// A part of x by places, as `x[:, -1]` in Python. Keras: `ops.get_item`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct GetItem {}

/// What becomes of an axis of x, or a new one.
enum Part {
    At(usize, i64),
    Slice(usize, Option<i64>, Option<i64>, Option<i64>),
    New,
}

impl GetItem {
    /// The key of a call, one part for each axis.
    fn key<T>(x: &Args<T>, rank: usize) -> Result<Vec<Part>> {
        let missing = || Error::layer("", "the argument key must be places or slices");
        let json = x.at(1, "key").and_then(Arg::json).ok_or_else(missing)?;
        let key: Vec<Index> = match json {
            Json::Array(parts) => parts.iter().map(Index::from_json).collect::<Result<_>>(),
            one => Index::from_json(one).map(|one| vec![one]),
        }
        .map_err(|e| Error::layer("", format!("key: {e}")))?;
        let axes = key.iter().filter(|i| matches!(i, Index::At(_) | Index::Slice { .. })).count();
        let ellipses = key.iter().filter(|i| **i == Index::Ellipsis).count();
        let Some(rest) = rank.checked_sub(axes).filter(|_| ellipses < 2) else {
            let message = format!("key: {axes} places and {ellipses} ellipses for {rank} axes");
            return Err(Error::layer("", message));
        };
        let mut axis = 0;
        let mut next = |count: usize| {
            axis += count;
            axis - count
        };
        let mut parts = Vec::new();
        for index in &key {
            match index {
                Index::At(place) => parts.push(Part::At(next(1), *place)),
                Index::Slice { start, stop, step } => {
                    parts.push(Part::Slice(next(1), *start, *stop, *step));
                }
                Index::NewAxis => parts.push(Part::New),
                Index::Ellipsis => {
                    let first = next(rest);
                    parts.extend((first..first + rest).map(|i| Part::Slice(i, None, None, None)));
                }
            }
        }
        parts.extend((next(0)..rank).map(|axis| Part::Slice(axis, None, None, None)));
        Ok(parts)
    }
}

impl Operation for GetItem {
    const ARGUMENTS: &'static [&'static str] = &["x", "key"];

    fn infer(&self, args: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = tensor(args, 0, "x")?;
        let length = |axis: usize| x.dims.0.get(axis).copied().flatten();
        let mut dims = Vec::new();
        for part in Self::key(args, x.dims.rank())? {
            match part {
                Part::At(axis, place) => {
                    if let Some(len) = length(axis) {
                        position(place, len).map_err(|_| {
                            let message =
                                format!("key: place {place} is not in an axis of length {len}");
                            Error::layer("", message)
                        })?;
                    }
                }
                Part::Slice(axis, start, stop, step) => dims.push(match length(axis) {
                    Some(len) => Some(places(start, stop, step, len)?.len()),
                    None => None,
                }),
                Part::New => dims.push(Some(1)),
            }
        }
        one(x.with_dims(Dims(dims)))
    }

    fn compute(&self, args: &Args<Value>) -> Result<Vec<Tensor>> {
        let x = &tensor(args, 0, "x")?.tensor;
        let mut y = x.clone();
        let mut dims = Vec::new();
        for part in Self::key(args, x.rank())? {
            match part {
                Part::At(axis, place) => y = y.narrow(axis, position(place, x.dim(axis)?)?, 1)?,
                Part::Slice(axis, start, stop, step) => {
                    let places = places(start, stop, step, x.dim(axis)?)?;
                    dims.push(places.len());
                    y = match (places.first(), places.last()) {
                        (Some(first), Some(last)) if last + 1 == first + places.len() => {
                            y.narrow(axis, *first, places.len())?
                        }
                        _ => select(&y, axis, &places)?,
                    };
                }
                Part::New => dims.push(1),
            }
        }
        one(reshape(&y.contiguous()?, dims)?)
    }
}

/// The values of x at indices along an axis; negative ones count from the end. Keras: `ops.take`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Take {
    /// The axis; all values in one row if `None`.
    pub axis: Option<i64>,
}

/// Indices as unsigned ones within a length.
fn indices(indices: &Tensor, len: usize) -> Result<Tensor> {
    let indices = indices.detach().to_dtype(DType::I64)?.contiguous()?;
    let negative = indices.lt(0i64)?;
    let from_end = (&indices + (indices.ones_like()? * len as f64)?)?;
    let indices = negative.where_cond(&from_end, &indices)?;
    if indices.device().is_cpu() {
        let outside = |i: &i64| !usize::try_from(*i).is_ok_and(|i| i < len);
        if let Some(index) = indices.flatten_all()?.to_vec1::<i64>()?.into_iter().find(outside) {
            let message = format!("index {index} is not in an axis of length {len}");
            return Err(Error::layer("", message));
        }
    }
    Ok(indices.to_dtype(DType::U32)?)
}

impl Operation for Take {
    const ARGUMENTS: &'static [&'static str] = &["x", "indices"];

    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let [table, at] = operands(x, ["x", "indices"])?;
        let (dims, at) = (table.dims(), at.dims());
        let dims = match self.axis {
            None => at.0,
            Some(axis) => {
                let axis = position(axis, dims.rank())?;
                [&dims.0[..axis], &at.0, &dims.0[axis + 1..]].concat()
            }
        };
        one(Spec { dims: Dims(dims), dtype: common([table.ty()]) })
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let device = device(x);
        let [table, at] = operands(x, ["x", "indices"])?;
        let mut table = table.tensor(common([table.ty()]), &device)?;
        let at = at.tensor(DType::I64, &device)?;
        let axis = match self.axis {
            Some(axis) => position(axis, table.rank())?,
            None => {
                table = reshape(&table, table.elem_count())?;
                0
            }
        };
        let flat = indices(&at.flatten_all()?, table.dim(axis)?)?;
        let y = table.contiguous()?.index_select(&flat, axis)?;
        let (before, after) = (&table.dims()[..axis], &table.dims()[axis + 1..]);
        one(reshape(&y, [before, at.dims(), after].concat())?)
    }
}

/// The values of x at indices that are stated for each row along an axis. Keras:
/// `ops.take_along_axis`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct TakeAlongAxis {
    /// The axis; all values in one row if `None`.
    pub axis: Option<i64>,
}

impl Operation for TakeAlongAxis {
    const ARGUMENTS: &'static [&'static str] = &["x", "indices"];

    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let [table, at] = operands(x, ["x", "indices"])?;
        let (mut dims, at) = (table.dims(), at.dims());
        let dims = match self.axis {
            None => at,
            Some(axis) => {
                let axis = position(axis, dims.rank())?;
                if at.rank() != dims.rank() {
                    let message = format!("indices of {at} for inputs of {dims}");
                    return Err(Error::layer("", message));
                }
                dims.0[axis] = Some(1);
                let mut dims = broadcast(&[dims, at.clone()])?;
                dims.0[axis] = at.0[axis];
                dims
            }
        };
        one(Spec { dims, dtype: common([table.ty()]) })
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let device = device(x);
        let [table, at] = operands(x, ["x", "indices"])?;
        let mut table = table.tensor(common([table.ty()]), &device)?;
        let mut at = at.tensor(DType::I64, &device)?;
        let axis = match self.axis {
            Some(axis) => position(axis, table.rank())?,
            None => {
                table = reshape(&table, table.elem_count())?;
                at = reshape(&at, at.elem_count())?;
                0
            }
        };
        if at.rank() != table.rank() {
            let message = format!("indices of {:?} for inputs of {:?}", at.dims(), table.dims());
            return Err(Error::layer("", message));
        }
        // Both in the shape that all axes but this one broadcast to.
        let stretched = |t: &Tensor, other: &Tensor| {
            let lengths = t.dims().iter().zip(other.dims()).enumerate();
            let dims = lengths.map(|(i, (a, b))| if i != axis && *a == 1 { *b } else { *a });
            t.broadcast_as(dims.collect::<Vec<_>>())?.contiguous()
        };
        let (table, at) = (stretched(&table, &at)?, stretched(&at, &table)?);
        one(table.gather(&indices(&at, table.dim(axis)?)?, axis)?)
    }
}

/// 1 at the place of each class, 0 elsewhere; all 0 for classes that there are none of. Keras:
/// `ops.one_hot`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.nn", only(sparse = false))]
pub struct OneHot {
    /// The number of classes.
    #[config(range = "[1, 4294967295]")]
    pub num_classes: usize,
    /// Where the axis of classes is in the result.
    #[config(default = LAST)]
    pub axis: i64,
    /// Keras's name of the type; float32 if `None`.
    pub dtype: Option<String>,
}

/// The last axis, the default.
const LAST: i64 = -1;

impl Operation for OneHot {
    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = tensor(x, 0, "x")?;
        let mut dims = x.dims.0.clone();
        dims.insert(position(self.axis, dims.len() + 1)?, Some(self.num_classes));
        one(Spec { dims: Dims(dims), dtype: stated(&self.dtype, DType::F32)? })
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let x = tensor(x, 0, "x")?.tensor.detach().to_dtype(DType::I64)?;
        let axis = position(self.axis, x.rank() + 1)?;
        let mut dims = vec![1; x.rank() + 1];
        dims[axis] = self.num_classes;
        let classes = Tensor::arange(0, self.num_classes as i64, x.device())?.reshape(dims)?;
        let is = x.unsqueeze(axis)?.broadcast_eq(&classes)?;
        one(cast(&is, stated(&self.dtype, DType::F32)?)?)
    }
}

/// x1 where a condition holds, else x2. Keras: `ops.where`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Where {}

impl Where {
    fn operands<'a, T: super::arguments::Typed>(x: &'a Args<T>) -> Result<[Operand<'a, T>; 3]> {
        if matches!(x.at(1, "x1"), None | Some(Arg::Json(Json::Null))) {
            let message = "where without x1 and x2 gives shapes that depend on values; state both";
            return Err(Error::layer("", message));
        }
        operands(x, ["condition", "x1", "x2"])
    }
}

impl Operation for Where {
    const ARGUMENTS: &'static [&'static str] = &["condition", "x1", "x2"];

    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let operands = Self::operands(x)?;
        let dims = broadcast(&operands.each_ref().map(Operand::dims))?;
        let [_, a, b] = &operands;
        one(Spec { dims, dtype: common([a.ty(), b.ty()]) })
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let device = device(x);
        let [condition, a, b] = Self::operands(x)?;
        let dtype = common([a.ty(), b.ty()]);
        let condition = match condition.ty() {
            Type::Of(dtype) => condition.tensor(dtype, &device)?,
            _ => condition.tensor(DType::F64, &device)?,
        };
        let (a, b) = (a.tensor(dtype, &device)?, b.tensor(dtype, &device)?);
        let shape = condition.shape().broadcast_shape_binary_op(a.shape(), "where")?;
        let shape = shape.broadcast_shape_binary_op(b.shape(), "where")?;
        let wide = |t: &Tensor| t.broadcast_as(&shape)?.contiguous();
        one(wide(&condition.detach().ne(0f64)?)?.where_cond(&wide(&a)?, &wide(&b)?)?)
    }
}

macro_rules! ordered {
    ($($(#[$doc:meta])* $name:ident |$x:ident, $order:ident, $axis:ident| $value:expr, $dtype:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(module = "keras.src.ops.numpy")]
        pub struct $name {
            /// The axis; all values in one row if `None`.
            #[config(default = Some(LAST))]
            pub axis: Option<i64>,
        }

        impl Operation for $name {
            fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let x = tensor(x, 0, "x")?;
                let dims = match self.axis {
                    Some(axis) => position(axis, x.dims.rank()).map(|_| x.dims.clone())?,
                    None => {
                        let length = |n: usize, axis: &Option<usize>| n.checked_mul((*axis)?);
                        Dims(vec![x.dims.0.iter().try_fold(1, length)])
                    }
                };
                let dtype: fn(DType) -> DType = $dtype;
                one(Spec { dims, dtype: dtype(x.dtype) })
            }

            fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
                let x = &tensor(x, 0, "x")?.tensor;
                let (x, $axis) = match self.axis {
                    Some(axis) => (x.clone(), position(axis, x.rank())?),
                    None => (reshape(x, x.elem_count())?, 0),
                };
                let last = x.rank() - 1;
                let $x = x.transpose($axis, last)?.contiguous()?;
                let $order = $x.detach().arg_sort_last_dim(true)?;
                let y: Tensor = $value;
                one(y.transpose($axis, last)?.contiguous()?)
            }
        }
    )*};
}

ordered! {
    /// The places of the values in ascending order. Keras: `ops.argsort`.
    Argsort |x, order, axis| cast(&order, DType::I32)?, |_| DType::I32;
    /// The values in ascending order. Keras: `ops.sort`.
    Sort |x, order, axis| x.gather(&order, last_of(&x))?, |dtype| dtype;
}

fn last_of(x: &Tensor) -> usize {
    x.rank() - 1
}
