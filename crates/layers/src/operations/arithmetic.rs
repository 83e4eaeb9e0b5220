//! Arithmetic between tensors, or a tensor and a number, with NumPy's broadcasting.

use super::Operand;
use crate::{Call, Layer};
use sconce_core::{Arg, Args, Config, DType, Dims, Error, Result, Spec, Tensor};
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

/// The two operands, of which at least one is a tensor.
fn operands<T>(x: &Args<T>) -> Result<[Operand<&T>; 2]> {
    let operand = |index: usize, name: &str| match x.at(index, name) {
        Some(Arg::One(tensor)) => Ok(Operand::Tensor(tensor)),
        Some(Arg::Json(value)) if value.is_number() => {
            Ok(Operand::Number(value.as_f64().unwrap_or(f64::NAN)))
        }
        _ => Err(Error::layer("", format!("argument {name} must be a tensor or a number"))),
    };
    match [operand(0, "x1")?, operand(1, "x2")?] {
        [Operand::Number(_), Operand::Number(_)] => Err(no_tensor()),
        operands => Ok(operands),
    }
}

fn no_tensor() -> Error {
    Error::layer("", "one of the operands must be a tensor")
}

fn binary_outputs(name: &str, x: &Args<Spec>) -> Result<Vec<Spec>> {
    let spec = match operands(x)? {
        [Operand::Tensor(a), Operand::Tensor(b)] => {
            let dims = broadcast(&a.dims, &b.dims).ok_or_else(|| {
                let (a, b) = (&a.dims, &b.dims);
                let message = format!("{name}: shapes {a} and {b} cannot be broadcast together");
                Error::layer("", message)
            })?;
            Spec { dims, dtype: common_type(a.dtype, b.dtype) }
        }
        [Operand::Tensor(a), _] | [_, Operand::Tensor(a)] => {
            Spec { dims: a.dims.clone(), dtype: common_type(a.dtype, DType::F32) }
        }
        _ => return Err(no_tensor()),
    };
    Ok(vec![spec])
}

fn binary_call(operator: Operator, call: &Call<'_>) -> Result<Vec<Tensor>> {
    let constant = |number: f64, like: &Tensor| -> Result<Tensor> {
        let dtype = common_type(like.dtype(), DType::F32);
        Ok(Tensor::new(number, like.device())?.to_dtype(dtype)?)
    };
    let (a, b) = match operands(call.args())? {
        [Operand::Tensor(a), Operand::Tensor(b)] => (a.tensor.clone(), b.tensor.clone()),
        [Operand::Tensor(a), Operand::Number(b)] => (a.tensor.clone(), constant(b, &a.tensor)?),
        [Operand::Number(a), Operand::Tensor(b)] => (constant(a, &b.tensor)?, b.tensor.clone()),
        _ => return Err(no_tensor()),
    };
    let dtype = common_type(a.dtype(), b.dtype());
    Ok(vec![arithmetic(operator, &a.to_dtype(dtype)?, &b.to_dtype(dtype)?)?])
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
