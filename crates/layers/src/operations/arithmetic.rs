//! Arithmetic between tensors, or a tensor and a number, with NumPy's broadcasting.

use crate::{Call, Layer};
use sconce_core::{Arg, Args, Config, DType, Dims, Error, Result, Spec, Tensor, Value};
use sconce_ops::arithmetic::{Operator, arithmetic};

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident: $operator:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(module = "keras.src.ops.numpy")]
        pub struct $name {}

        impl Layer for $name {
            fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                binary_outputs(stringify!($name), x)
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

/// The two operands; a number is missing where a tensor stands.
fn operands<'a, T>(x: &'a Args<T>) -> Result<[(Option<&'a T>, f64); 2]> {
    let operand = |index: usize, name: &str| match x.at(index, name) {
        Some(Arg::One(tensor)) => Ok((Some(tensor), 0.0)),
        Some(Arg::Json(value)) if value.is_number() => {
            Ok((None, value.as_f64().unwrap_or(f64::NAN)))
        }
        _ => Err(Error::layer("", format!("argument {name} must be a tensor or a number"))),
    };
    let operands = [operand(0, "x1")?, operand(1, "x2")?];
    match operands {
        [(None, _), (None, _)] => Err(Error::layer("", "one of the operands must be a tensor")),
        operands => Ok(operands),
    }
}

fn binary_outputs(name: &str, x: &Args<Spec>) -> Result<Vec<Spec>> {
    let spec = match operands(x)? {
        [(Some(a), _), (Some(b), _)] => {
            let dims = broadcast(&a.dims, &b.dims).ok_or_else(|| {
                Error::layer(
                    "",
                    format!(
                        "{name}: shapes {} and {} cannot be broadcast together",
                        a.dims, b.dims
                    ),
                )
            })?;
            Spec { dims, dtype: common_type(a.dtype, b.dtype) }
        }
        [(Some(a), _), _] | [_, (Some(a), _)] => Spec {
            dims: a.dims.clone(),
            dtype: if a.dtype.is_float() { a.dtype } else { DType::F32 },
        },
        _ => return Err(Error::layer("", "one of the operands must be a tensor")),
    };
    Ok(vec![spec])
}

fn binary_call(operator: Operator, call: &Call<'_>) -> Result<Vec<Tensor>> {
    let [a, b] = operands(call.args())?;
    let dtype = match (a.0, b.0) {
        (Some(a), Some(b)) => common_type(a.tensor.dtype(), b.tensor.dtype()),
        (Some(a), None) | (None, Some(a)) if a.tensor.dtype().is_float() => a.tensor.dtype(),
        _ => DType::F32,
    };
    let other = |x: &Option<&Value>| x.map(|x| x.tensor.device().clone());
    let device = other(&a.0).or_else(|| other(&b.0)).unwrap_or(sconce_core::Device::Cpu);
    let tensor = |(tensor, number): (Option<&Value>, f64)| -> Result<Tensor> {
        Ok(match tensor {
            Some(value) => value.tensor.to_dtype(dtype)?,
            None => Tensor::new(number, &device)?.to_dtype(dtype)?,
        })
    };
    Ok(vec![arithmetic(operator, &tensor(a)?, &tensor(b)?)?])
}

/// The type of a result: the float one of the two, else that of equal ones, else f32.
fn common_type(a: DType, b: DType) -> DType {
    match (a.is_float(), b.is_float()) {
        _ if a == b => a,
        (true, false) => a,
        (false, true) => b,
        _ => DType::F32,
    }
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
