//! One number from many, along axes.

use super::arguments::{float, tensor};
use super::{Operation, one};
use crate::Axes;
use sconce_core::axes::position;
use sconce_core::device::cast;
use sconce_core::policy::dtype_of;
use sconce_core::{Args, Config, DType, Dims, Error, Result, Spec, Tensor, Value};
use sconce_ops::Operation as _;
use sconce_ops::activations::Map;
use sconce_ops::arithmetic::{Operator, arithmetic};
use sconce_ops::{extremum, functions, reshape};

/// The positions of axes; all of them for `None`.
pub(super) fn positions(axis: &Option<Axes>, rank: usize) -> Result<Vec<usize>> {
    match axis {
        Some(axes) => axes.positions(rank),
        None => Ok((0..rank).collect()),
    }
}

/// The shape without the axes, or with 1 in their place.
fn reduced(dims: &Dims, axes: &[usize], keepdims: bool) -> Dims {
    let axis = |(i, length): (usize, &Option<usize>)| match axes.contains(&i) {
        true => keepdims.then_some(Some(1)),
        false => Some(*length),
    };
    Dims(dims.0.iter().enumerate().filter_map(axis).collect())
}

/// Runs `f`, which makes `[rows, 1]` of `[rows, width]`, along axes.
fn reduce(
    x: &Tensor,
    axes: &[usize],
    keepdims: bool,
    f: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let kept: Vec<usize> = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
    let order = [&kept[..], axes].concat();
    let moved = if order.is_sorted() { x.clone() } else { x.permute(order)?.contiguous()? };
    let width: usize = moved.dims().iter().skip(kept.len()).product();
    let rows: usize = moved.dims().iter().take(kept.len()).product();
    let y = f(&reshape(&moved, (rows, width))?)?;
    let dims = reduced(&Dims::known(x.dims()), axes, keepdims);
    Ok(reshape(&y, dims.0.into_iter().flatten().collect::<Vec<_>>())?)
}

/// Which reduction.
#[derive(Clone, Copy)]
enum Reduction {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
    Var,
    Std,
    All,
    Any,
    Logsumexp,
}

impl Reduction {
    fn dtype(self, x: DType) -> DType {
        match self {
            Self::All | Self::Any => DType::U8,
            Self::Max | Self::Min => x,
            // Of truth values Keras gives int32.
            Self::Sum | Self::Prod if matches!(x, DType::U8 | DType::I16) => DType::I32,
            Self::Sum | Self::Prod => x,
            Self::Mean | Self::Var | Self::Std | Self::Logsumexp => float(x),
        }
    }

    fn rows(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Sum => x.sum_keepdim(1)?,
            Self::Mean => x.mean_keepdim(1)?,
            Self::Max => extremum(x, true)?,
            Self::Min => extremum(x, false)?,
            Self::Prod => product(x)?,
            Self::Var => x.broadcast_sub(&x.mean_keepdim(1)?)?.sqr()?.mean_keepdim(1)?,
            Self::Std => Map(functions::Sqrt).apply(&[&Self::Var.rows(x)?])?,
            Self::All => x.detach().ne(0f64)?.min_keepdim(1)?,
            Self::Any => x.detach().ne(0f64)?.max_keepdim(1)?,
            Self::Logsumexp => {
                // Of a row of -inf, -inf - -inf would be no number.
                let max = x.detach().max_keepdim(1)?.maximum(-3e38)?;
                let sum = x.broadcast_sub(&max)?.exp()?.sum_keepdim(1)?;
                (sum.log()? + max)?
            }
        })
    }

    fn infer(self, axis: &Option<Axes>, keepdims: bool, x: &Spec) -> Result<Vec<Spec>> {
        let axes = positions(axis, x.dims.rank())?;
        let has_result = matches!(self, Self::Sum | Self::Prod | Self::All | Self::Any);
        if !has_result && axes.iter().any(|axis| x.dims.0.get(*axis) == Some(&Some(0))) {
            return Err(Error::layer("", format!("nothing to reduce in inputs of {}", x.dims)));
        }
        one(Spec { dims: reduced(&x.dims, &axes, keepdims), dtype: self.dtype(x.dtype) })
    }

    fn compute(self, axis: &Option<Axes>, keepdims: bool, x: &Tensor) -> Result<Vec<Tensor>> {
        let axes = positions(axis, x.rank())?;
        let dtype = self.dtype(x.dtype());
        // Integers are added up where they cannot overflow.
        let wide = match self {
            Self::All | Self::Any | Self::Max | Self::Min => x.dtype(),
            Self::Sum | Self::Prod if !dtype.is_float() => DType::I64,
            _ => dtype,
        };
        let y = reduce(&x.to_dtype(wide)?, &axes, keepdims, |rows| self.rows(rows))?;
        one(cast(&y, dtype)?)
    }
}

/// The product along rows, number by number, so that zeros have gradients.
fn product(x: &Tensor) -> Result<Tensor> {
    let width = x.dim(1)?;
    if width == 0 {
        return Ok(Tensor::ones((x.dim(0)?, 1), x.dtype(), x.device())?);
    }
    let mut y = x.narrow(1, 0, 1)?;
    for column in 1..width {
        y = arithmetic(Operator::Multiply, &y, &x.narrow(1, column, 1)?)?;
    }
    Ok(y)
}

macro_rules! reductions {
    ($($(#[$doc:meta])* $module:literal $name:ident $reduction:ident $(initial $initial:tt)?;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(module = $module $(, only($initial = null))?)]
        pub struct $name {
            /// The axes; all, that of the batch included, if `None`.
            pub axis: Option<Axes>,
            /// Whether the axes stay, with length 1.
            #[config(default = false)]
            pub keepdims: bool,
        }

        impl Operation for $name {
            fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                Reduction::$reduction.infer(&self.axis, self.keepdims, tensor(x, 0, "x")?)
            }

            fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
                let x = &tensor(x, 0, "x")?.tensor;
                Reduction::$reduction.compute(&self.axis, self.keepdims, x)
            }
        }
    )*};
}

reductions! {
    /// The sum. Keras: `ops.sum`.
    "keras.src.ops.numpy" Sum Sum;
    /// The mean. Keras: `ops.mean`.
    "keras.src.ops.numpy" Mean Mean;
    /// The largest value; equally large ones share the gradient. Keras: `ops.max`.
    "keras.src.ops.numpy" Max Max initial initial;
    /// The smallest value; equally small ones share the gradient. Keras: `ops.min`.
    "keras.src.ops.numpy" Min Min initial initial;
    /// The largest value. Keras: `ops.amax`.
    "keras.src.ops.numpy" Amax Max;
    /// The smallest value. Keras: `ops.amin`.
    "keras.src.ops.numpy" Amin Min;
    /// The product. Keras: `ops.prod`.
    "keras.src.ops.numpy" Prod Prod initial dtype;
    /// The mean square of the distance from the mean. Keras: `ops.var`.
    "keras.src.ops.numpy" Var Var;
    /// The root of the variance. Keras: `ops.std`.
    "keras.src.ops.numpy" Std Std;
    /// Whether no value is 0. Keras: `ops.all`.
    "keras.src.ops.numpy" All All;
    /// Whether some value is not 0. Keras: `ops.any`.
    "keras.src.ops.numpy" Any Any;
    /// `ln(sum(e^x))`, without overflow. Keras: `ops.logsumexp`.
    "keras.src.ops.math" Logsumexp Logsumexp;
}

/// How many values are not 0. Keras: `ops.count_nonzero`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct CountNonzero {
    /// The axes; all, that of the batch included, if `None`.
    pub axis: Option<Axes>,
}

impl Operation for CountNonzero {
    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = tensor(x, 0, "x")?;
        let truth = Spec { dims: x.dims.clone(), dtype: DType::U8 };
        Reduction::Sum.infer(&self.axis, false, &truth)
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let x = tensor(x, 0, "x")?.tensor.detach();
        Reduction::Sum.compute(&self.axis, false, &x.ne(0f64)?)
    }
}

/// The length of vectors. Keras: `ops.norm`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.linalg")]
pub struct Norm {
    /// Which norm: `n` for the n-th root of the sum of the n-th powers; 2 if `None`.
    #[config(range = "[1, inf)")]
    pub ord: Option<f64>,
    /// The axes; all, that of the batch included, if `None`.
    pub axis: Option<Axes>,
    /// Whether the axes stay, with length 1.
    #[config(default = false)]
    pub keepdims: bool,
}

/// `sum(|x|^order)^(1 / order)` along axes, which stay.
pub(super) fn norm(x: &Tensor, axes: &[usize], order: f64) -> Result<Tensor> {
    reduce(x, axes, true, |x| {
        if order == 2.0 {
            return Ok(Map(functions::Sqrt).apply(&[&x.sqr()?.sum_keepdim(1)?])?);
        }
        let x = Map(functions::Absolute).apply(&[x])?;
        if order == 1.0 {
            return Ok(x.sum_keepdim(1)?);
        }
        let sum = Map(functions::PowerOf(order)).apply(&[&x])?.sum_keepdim(1)?;
        Ok(Map(functions::PowerOf(order.recip())).apply(&[&sum])?)
    })
}

impl Operation for Norm {
    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = tensor(x, 0, "x")?;
        let axes = positions(&self.axis, x.dims.rank())?;
        if self.ord.is_some() && axes.len() != 1 {
            let message =
                "Norm: norms of matrices other than ord=None are not supported; state one axis";
            return Err(Error::layer("", message));
        }
        one(Spec { dims: reduced(&x.dims, &axes, self.keepdims), dtype: float(x.dtype) })
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let x = &tensor(x, 0, "x")?.tensor;
        let x = x.to_dtype(float(x.dtype()))?;
        let axes = positions(&self.axis, x.rank())?;
        let length = norm(&x, &axes, self.ord.unwrap_or(2.0))?;
        let dims = reduced(&Dims::known(x.dims()), &axes, self.keepdims);
        one(reshape(&length, dims.0.into_iter().flatten().collect::<Vec<_>>())?)
    }
}

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident $find:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(module = "keras.src.ops.numpy")]
        pub struct $name {
            /// The axis; all values in one row if `None`.
            pub axis: Option<i64>,
            /// Whether the axis stays, with length 1.
            #[config(default = false)]
            pub keepdims: bool,
        }

        impl Operation for $name {
            fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let x = tensor(x, 0, "x")?;
                let spec = Reduction::Max.infer(&self.axis.map(Axes::One), self.keepdims, x)?;
                Ok(spec.into_iter().map(|spec| Spec { dtype: DType::I32, ..spec }).collect())
            }

            fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
                let x = tensor(x, 0, "x")?.tensor.detach();
                let axes = positions(&self.axis.map(Axes::One), x.rank())?;
                let find = |x: &Tensor| Ok(x.$find(1)?);
                one(cast(&reduce(&x, &axes, self.keepdims, find)?, DType::I32)?)
            }
        }
    )*};
}

places! {
    /// The place of the largest value, of equal ones the first. Keras: `ops.argmax`.
    Argmax argmax_keepdim;
    /// The place of the smallest value, of equal ones the first. Keras: `ops.argmin`.
    Argmin argmin_keepdim;
}

/// The sums of whole numbers up to each, row by row.
fn sums_of_rows(rows: &Tensor) -> Result<Tensor> {
    let width = rows.dim(1)?.max(1);
    let mut values = rows.flatten_all()?.to_vec1::<i64>()?;
    for row in values.chunks_mut(width) {
        let mut sum = 0i64;
        for value in row {
            sum = sum.wrapping_add(*value);
            *value = sum;
        }
    }
    Ok(Tensor::from_vec(values, rows.shape(), rows.device())?)
}

/// The sums of the values up to each. Keras: `ops.cumsum`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Cumsum {
    /// The axis; all values in one row if `None`.
    pub axis: Option<i64>,
    /// The type of the result; that of x if `None`.
    pub dtype: Option<String>,
}

impl Cumsum {
    fn result(&self, x: DType) -> Result<DType> {
        match &self.dtype {
            Some(name) => dtype_of(name),
            None => Ok(Reduction::Sum.dtype(x)),
        }
    }
}

impl Operation for Cumsum {
    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = tensor(x, 0, "x")?;
        let dims = match self.axis {
            Some(axis) => position(axis, x.dims.rank()).map(|_| x.dims.clone())?,
            None => {
                let length =
                    |product: usize, length: &Option<usize>| product.checked_mul((*length)?);
                Dims(vec![x.dims.0.iter().try_fold(1, length)])
            }
        };
        one(Spec { dims, dtype: self.result(x.dtype)? })
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let x = &tensor(x, 0, "x")?.tensor;
        let dtype = self.result(x.dtype())?;
        // candle multiplies with a triangular matrix, of floats only.
        let on_cpu = !dtype.is_float() && x.device().is_cpu();
        let x = x.to_dtype(match dtype.is_float() {
            true => dtype,
            false if on_cpu => DType::I64,
            false => DType::F64,
        })?;
        let sums = |rows: &Tensor| if on_cpu { sums_of_rows(rows) } else { Ok(rows.cumsum(1)?) };
        let y = match self.axis {
            Some(axis) => {
                let axis = position(axis, x.rank())?;
                let last = x.rank() - 1;
                let moved = x.transpose(axis, last)?.contiguous()?;
                let width = moved.dim(last)?.max(1);
                let rows = sums(&reshape(&moved, (moved.elem_count() / width, width))?)?;
                rows.reshape(moved.shape())?.transpose(axis, last)?.contiguous()?
            }
            None => sums(&reshape(&x, (1, x.elem_count()))?)?.flatten_all()?,
        };
        one(cast(&y, dtype)?)
    }
}
