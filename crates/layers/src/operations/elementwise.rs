//! Functions of one tensor, element by element.

use super::arguments::{float, tensor};
use super::{Operation, one};
use sconce_core::device::cast;
use sconce_core::{Args, Config, DType, Result, Spec, Tensor, Value};
use sconce_ops::Operation as _;
use sconce_ops::activations::Map;
use sconce_ops::functions;

/// The type of a result.
#[derive(Clone, Copy)]
enum Gives {
    /// A float: integers are brought to float32 before.
    Float,
    /// What came.
    Same,
    /// Truth values.
    Truth,
}

impl Gives {
    fn dtype(self, dtype: DType) -> DType {
        match self {
            Self::Float => float(dtype),
            Self::Same => dtype,
            Self::Truth => DType::U8,
        }
    }
}

macro_rules! elementwise {
    ($($(#[$doc:meta])* $module:literal $name:ident $gives:ident $function:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(module = $module)]
        pub struct $name {}

        impl Operation for $name {
            fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let x = tensor(x, 0, "x")?;
                one(Spec { dims: x.dims.clone(), dtype: Gives::$gives.dtype(x.dtype) })
            }

            fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
                let x = &tensor(x, 0, "x")?.tensor;
                let x = match Gives::$gives {
                    Gives::Float => x.to_dtype(float(x.dtype()))?,
                    _ => x.clone(),
                };
                let function = $function;
                one(function(&x)?)
            }
        }
    )*};
}

elementwise! {
    /// `|x|`. Keras: `ops.absolute`.
    "keras.src.ops.numpy" Absolute Same absolute;
    /// `-x`. Keras: `ops.negative`.
    "keras.src.ops.numpy" Negative Same negative;
    /// `x^2`. Keras: `ops.square`.
    "keras.src.ops.numpy" Square Same square;
    /// -1, 0 or 1. Keras: `ops.sign`.
    "keras.src.ops.numpy" Sign Same sign;
    /// `1 / x`. Keras: `ops.reciprocal`.
    "keras.src.ops.numpy" Reciprocal Float |x: &Tensor| Map(functions::Reciprocal).apply(&[x]);
    /// `e^x`. Keras: `ops.exp`.
    "keras.src.ops.numpy" Exp Float |x: &Tensor| Map(functions::Exp).apply(&[x]);
    /// `2^x`. Keras: `ops.exp2`.
    "keras.src.ops.numpy" Exp2 Float |x: &Tensor| Map(functions::Exp2).apply(&[x]);
    /// `e^x - 1`. Keras: `ops.expm1`.
    "keras.src.ops.numpy" Expm1 Float |x: &Tensor| Map(functions::Expm1).apply(&[x]);
    /// `ln(x)`. Keras: `ops.log`.
    "keras.src.ops.numpy" Log Float |x: &Tensor| Map(functions::Log).apply(&[x]);
    /// `ln(1 + x)`. Keras: `ops.log1p`.
    "keras.src.ops.numpy" Log1p Float |x: &Tensor| Map(functions::Log1p).apply(&[x]);
    /// The logarithm to base 2. Keras: `ops.log2`.
    "keras.src.ops.numpy" Log2 Float |x: &Tensor| Map(functions::Log2).apply(&[x]);
    /// The logarithm to base 10. Keras: `ops.log10`.
    "keras.src.ops.numpy" Log10 Float |x: &Tensor| Map(functions::Log10).apply(&[x]);
    /// `sqrt(x)`. Keras: `ops.sqrt`.
    "keras.src.ops.numpy" Sqrt Float |x: &Tensor| Map(functions::Sqrt).apply(&[x]);
    /// `1 / sqrt(x)`. Keras: `ops.rsqrt`.
    "keras.src.ops.math" Rsqrt Float |x: &Tensor| Map(functions::Rsqrt).apply(&[x]);
    /// The error function. Keras: `ops.erf`.
    "keras.src.ops.math" Erf Float |x: &Tensor| Map(functions::Erf).apply(&[x]);
    /// `sin(x)`. Keras: `ops.sin`.
    "keras.src.ops.numpy" Sin Float |x: &Tensor| Map(functions::Sin).apply(&[x]);
    /// `cos(x)`. Keras: `ops.cos`.
    "keras.src.ops.numpy" Cos Float |x: &Tensor| Map(functions::Cos).apply(&[x]);
    /// `tan(x)`. Keras: `ops.tan`.
    "keras.src.ops.numpy" Tan Float |x: &Tensor| Map(functions::Tan).apply(&[x]);
    /// `sinh(x)`. Keras: `ops.sinh`.
    "keras.src.ops.numpy" Sinh Float |x: &Tensor| Map(functions::Sinh).apply(&[x]);
    /// `cosh(x)`. Keras: `ops.cosh`.
    "keras.src.ops.numpy" Cosh Float |x: &Tensor| Map(functions::Cosh).apply(&[x]);
    /// `tanh(x)`. Keras: `ops.tanh`.
    "keras.src.ops.numpy" Tanh Float |x: &Tensor| Map(functions::Tanh).apply(&[x]);
    /// x rounded down, a float. Keras: `ops.floor`.
    "keras.src.ops.numpy" Floor Float |x: &Tensor| x.detach().floor();
    /// x rounded up, a float. Keras: `ops.ceil`.
    "keras.src.ops.numpy" Ceil Float |x: &Tensor| x.detach().ceil();
    /// x rounded toward zero. Keras: `ops.trunc`.
    "keras.src.ops.numpy" Trunc Same truncated;
    /// Where x is neither infinite nor NaN. Keras: `ops.isfinite`.
    "keras.src.ops.numpy" Isfinite Truth |x: &Tensor| (x.detach() * 0.0)?.eq(0f64);
    /// Where x is infinite. Keras: `ops.isinf`.
    "keras.src.ops.numpy" Isinf Truth is_infinite;
    /// Where x is NaN. Keras: `ops.isnan`.
    "keras.src.ops.numpy" Isnan Truth |x: &Tensor| x.detach().ne(&x.detach());
    /// Where x is 0. Keras: `ops.logical_not`.
    "keras.src.ops.numpy" LogicalNot Truth |x: &Tensor| x.detach().eq(0f64);
}

/// `f(x)` in f64 for integers, of which candle has few functions.
fn of_integers(x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    match x.dtype().is_float() {
        true => f(x),
        false => Ok(f(&x.to_dtype(DType::F64)?)?.to_dtype(x.dtype())?),
    }
}

fn absolute(x: &Tensor) -> Result<Tensor> {
    of_integers(x, |x| Ok(Map(functions::Absolute).apply(&[x])?))
}

fn negative(x: &Tensor) -> Result<Tensor> {
    of_integers(x, |x| Ok(x.neg()?))
}

fn square(x: &Tensor) -> Result<Tensor> {
    of_integers(x, |x| Ok(Map(functions::Square).apply(&[x])?))
}

fn sign(x: &Tensor) -> Result<Tensor> {
    of_integers(&x.detach(), |x| {
        Ok((x.gt(0f64)?.to_dtype(x.dtype())? - x.lt(0f64)?.to_dtype(x.dtype())?)?)
    })
}

fn truncated(x: &Tensor) -> Result<Tensor> {
    of_integers(&x.detach(), |x| Ok(x.lt(0f64)?.where_cond(&x.ceil()?, &x.floor()?)?))
}

fn is_infinite(x: &Tensor) -> Result<Tensor> {
    let x = x.detach();
    match x.dtype().is_float() {
        true => Ok(x.abs()?.eq(f64::INFINITY)?),
        false => Ok(Tensor::zeros(x.shape(), DType::U8, x.device())?),
    }
}

/// x within bounds. Keras: `ops.clip`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Clip {
    /// The lower bound.
    pub x_min: f64,
    /// The upper bound.
    pub x_max: f64,
}

impl Clip {
    /// Of integers with a bound that has a point: a float.
    fn dtype(&self, x: DType) -> DType {
        let whole = self.x_min.fract() == 0.0 && self.x_max.fract() == 0.0;
        if whole { x } else { float(x) }
    }
}

impl Operation for Clip {
    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = tensor(x, 0, "x")?;
        one(Spec { dims: x.dims.clone(), dtype: self.dtype(x.dtype) })
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let x = &tensor(x, 0, "x")?.tensor;
        let x = cast(x, self.dtype(x.dtype()))?;
        let clip = functions::Clip { low: self.x_min, high: self.x_max };
        one(of_integers(&x, |x| Ok(Map(clip).apply(&[x])?))?)
    }
}

/// x rounded to a number of digits after the point, halves to the even number. Keras: `ops.round`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Round {
    /// Digits after the point; negative ones before it.
    #[config(default = 0, range = "[-30, 30]")]
    pub decimals: i64,
}

impl Operation for Round {
    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        one(tensor(x, 0, "x")?.clone())
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let x = tensor(x, 0, "x")?.tensor.detach();
        let factor = 10f64.powi(self.decimals as i32);
        let even = |x: &Tensor| {
            let x = (x * factor)?;
            let down = x.floor()?;
            let rest = (&x - &down)?;
            let half = (&down * 0.5)?;
            let odd = half.floor()?.ne(&half)?.to_dtype(x.dtype())?;
            let up = rest.gt(0.5)?.to_dtype(x.dtype())?;
            let tie = (rest.eq(0.5)?.to_dtype(x.dtype())? * odd)?;
            Ok((((down + up)? + tie)? / factor)?)
        };
        one(of_integers(&x, even)?)
    }
}
