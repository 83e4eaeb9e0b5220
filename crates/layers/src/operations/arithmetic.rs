//! Arithmetic between tensors, or a tensor and a number, with NumPy's broadcasting.

use super::Operand;
use crate::{Call, Layer};
use sconce_core::{Arg, Args, Config, DType, Device, Dims, Error, Result, Spec, Tensor, Value};
use sconce_ops::arithmetic::{Operator, arithmetic};

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident: $operator:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(module = "keras.src.ops.numpy")]
        pub struct $name {}

        impl Layer for $name {
            fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                binary_outputs(Operator::$operator, stringify!($name), x)
            }

            fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
                binary_call(Operator::$operator, call)
            }

            fn arguments(&self) -> &'static [&'static str] {
                &["x1", "x2"]
            }

            fn supports_masking(&self) -> bool {
                true
            }

            fn casts_integers(&self) -> bool {
                false
            }
        }
    )*};
}

binary! {
    /// `x1 + x2`. Keras: `ops.add`.
    Add: Add;
    /// `x1 - x2`. Keras: `ops.subtract`.
    Subtract: Subtract;
    /// `x1 x2`. Keras: `ops.multiply`.
    Multiply: Multiply;
    /// `x1 / x2`. Keras: `ops.true_divide`.
    TrueDivide: Divide;
}

/// `-x`. Keras: `ops.negative`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Negative {}

impl Layer for Negative {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("Negative")?.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        let minus = Tensor::new(-1f32, x.device())?.to_dtype(x.dtype())?;
        Ok(vec![arithmetic(Operator::Multiply, x, &minus)?])
    }

    fn arguments(&self) -> &'static [&'static str] {
        &["x"]
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn casts_integers(&self) -> bool {
        false
    }
}

/// The two operands, at least one of which is a tensor.
fn operands<T>(x: &Args<T>) -> Result<[Operand<&T>; 2]> {
    let operand = |index: usize, name: &str| match x.at(index, name) {
        Some(Arg::One(tensor)) => Ok(Operand::Tensor(tensor)),
        Some(Arg::Json(number)) if number.is_number() => Ok(Operand::Number(number.clone())),
        _ => Err(Error::layer("", format!("argument {name} must be a tensor or a number"))),
    };
    match [operand(0, "x1")?, operand(1, "x2")?] {
        [Operand::Number(_), Operand::Number(_)] => {
            Err(Error::layer("", "one of the operands must be a tensor"))
        }
        operands => Ok(operands),
    }
}

/// The type of a result: a float one if there is one, or if there is a division or a number with a
/// point; else the integer type that holds both.
fn result_type<T>(
    operator: Operator,
    [a, b]: &[Operand<&T>; 2],
    dtype_of: impl Fn(&T) -> DType,
) -> DType {
    let dtype = |operand: &Operand<&T>| match operand {
        Operand::Tensor(tensor) => Some(dtype_of(tensor)),
        Operand::Number(number) if number.is_f64() => Some(DType::F32),
        Operand::Number(_) => None,
    };
    let common = match (dtype(a), dtype(b)) {
        (Some(a), Some(b)) => common_type(a, b),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => DType::F32,
    };
    match operator {
        Operator::Divide if !common.is_float() => DType::F32,
        _ => common,
    }
}

fn common_type(a: DType, b: DType) -> DType {
    match (a, b) {
        _ if a == b => a,
        // A tensor of a wider float type is not narrowed by a number.
        _ if a.is_float() && b.is_float() => {
            if a == DType::F32 {
                b
            } else {
                a
            }
        }
        _ if a.is_float() => a,
        _ if b.is_float() => b,
        (DType::U8, other) | (other, DType::U8) => other,
        (DType::I16, DType::I32) | (DType::I32, DType::I16) => DType::I32,
        _ => DType::I64,
    }
}

fn binary_outputs(operator: Operator, name: &str, x: &Args<Spec>) -> Result<Vec<Spec>> {
    let operands = operands(x)?;
    let dims = match &operands {
        [Operand::Tensor(a), Operand::Tensor(b)] => {
            broadcast(&a.dims, &b.dims).ok_or_else(|| {
                Error::layer(
                    "",
                    format!(
                        "{name}: shapes {} and {} cannot be broadcast together",
                        a.dims, b.dims
                    ),
                )
            })?
        }
        [Operand::Tensor(one), _] | [_, Operand::Tensor(one)] => one.dims.clone(),
        _ => Dims::default(),
    };
    Ok(vec![Spec { dims, dtype: result_type(operator, &operands, |spec| spec.dtype) }])
}

fn binary_call(operator: Operator, call: &Call<'_>) -> Result<Vec<Tensor>> {
    let operands = operands(call.args())?;
    let dtype = result_type(operator, &operands, |value| value.tensor.dtype());
    let device = call.tensors().first().map_or(Device::Cpu, |t| t.device().clone());
    let tensor = |operand: &Operand<&Value>| -> Result<Tensor> {
        Ok(match operand {
            Operand::Tensor(value) => value.tensor.to_dtype(dtype)?,
            Operand::Number(number) => match number.as_i64() {
                Some(whole) => Tensor::new(whole, &device)?.to_dtype(dtype)?,
                None => {
                    Tensor::new(number.as_f64().unwrap_or(f64::NAN), &device)?.to_dtype(dtype)?
                }
            },
        })
    };
    let [a, b] = &operands;
    Ok(vec![arithmetic(operator, &tensor(a)?, &tensor(b)?)?])
}

/// The shape of a result; `None` if the shapes do not go together.
fn broadcast(a: &Dims, b: &Dims) -> Option<Dims> {
    let rank = a.rank().max(b.rank());
    let axis = |dims: &Dims, i: usize| match (i + dims.rank()).checked_sub(rank) {
        Some(i) => dims.0.get(i).copied().flatten(),
        None => Some(1),
    };
    (0..rank)
        .map(|i| match (axis(a, i), axis(b, i)) {
            (Some(1), other) | (other, Some(1)) => Some(other),
            (None, other) | (other, None) => Some(other),
            (Some(a), Some(b)) => (a == b).then_some(Some(a)),
        })
        .collect::<Option<Vec<_>>>()
        .map(Dims)
}
