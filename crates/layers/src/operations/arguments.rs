//! What operations are called with: tensors, and constants as Keras's JSON has them.

use sconce_core::device::{cast, held_as};
use sconce_core::policy::dtype_of;
use sconce_core::value::{array_value, mismatch};
use sconce_core::{Arg, Args, DType, Device, Dims, Error, Json, Result, Spec, Tensor, Value};

/// The type of an operand. Python's numbers have none of their own: they take that of the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Type {
    Of(DType),
    Whole,
    Real,
}

/// What has a type.
pub(super) trait Typed {
    fn dtype(&self) -> DType;
}

impl Typed for Spec {
    fn dtype(&self) -> DType {
        self.dtype
    }
}

impl Typed for Value {
    fn dtype(&self) -> DType {
        self.tensor.dtype()
    }
}

/// One operand of a call.
pub(super) enum Operand<'a, T> {
    Tensor(&'a T),
    Constant(Constant),
}

impl<T: Typed> Operand<'_, T> {
    pub(super) fn ty(&self) -> Type {
        match self {
            Self::Tensor(tensor) => Type::Of(tensor.dtype()),
            Self::Constant(constant) => constant.ty,
        }
    }
}

impl Operand<'_, Spec> {
    pub(super) fn dims(&self) -> Dims {
        match self {
            Self::Tensor(spec) => spec.dims.clone(),
            Self::Constant(constant) => Dims::known(&constant.dims),
        }
    }
}

impl Operand<'_, Value> {
    /// As a tensor of a type.
    pub(super) fn tensor(&self, dtype: DType, device: &Device) -> Result<Tensor> {
        match self {
            Self::Tensor(value) => Ok(cast(&value.tensor, dtype)?),
            Self::Constant(constant) => constant.tensor(dtype, device),
        }
    }
}

/// A number, or an array of them.
pub(super) struct Constant {
    pub(super) dims: Vec<usize>,
    ty: Type,
    values: Values,
}

enum Values {
    Whole(Vec<i64>),
    Real(Vec<f64>),
}

impl Constant {
    /// Reads a number, a truth value, nested lists, or an array as Keras serializes it.
    fn read(json: &Json) -> Result<Self> {
        let value = array_value(json);
        let mut dims = Vec::new();
        let mut inner = value;
        while let Json::Array(items) = inner {
            dims.push(items.len());
            inner = items.first().unwrap_or(&Json::Null);
        }
        let mut numbers = Vec::new();
        if !flatten(value, &dims, &mut numbers) {
            let expected = "a tensor, a number, or nested lists of numbers that are all of one \
                            length at each depth";
            return Err(mismatch(expected, json));
        }
        let whole = |number: &Json| number.as_i64().or(number.as_bool().map(i64::from));
        let values = match numbers.iter().map(|number| whole(number)).collect() {
            Some(values) => Values::Whole(values),
            None => {
                let real = |number: &&Json| number.as_f64().or(whole(number).map(|n| n as f64));
                Values::Real(numbers.iter().filter_map(real).collect())
            }
        };
        let is_array = !std::ptr::eq(value, json);
        let stated = json.pointer("/config/dtype").and_then(Json::as_str).filter(|_| is_array);
        let ty = match (stated, &values) {
            (Some(name), _) => Type::Of(dtype_of(name)?),
            (None, _) if json.is_boolean() => Type::Of(DType::U8),
            (None, Values::Whole(_)) if dims.is_empty() => Type::Whole,
            (None, Values::Real(_)) if dims.is_empty() => Type::Real,
            (None, Values::Whole(_)) => Type::Of(DType::I32),
            (None, Values::Real(_)) => Type::Of(DType::F32),
        };
        Ok(Self { dims, ty, values })
    }

    fn tensor(&self, dtype: DType, device: &Device) -> Result<Tensor> {
        let dims = self.dims.as_slice();
        let tensor = match &self.values {
            Values::Whole(values) => Tensor::from_slice(values, dims, &Device::Cpu)?,
            Values::Real(values) => Tensor::from_slice(values, dims, &Device::Cpu)?,
        };
        Ok(tensor.to_dtype(held_as(dtype, device))?.to_device(device)?)
    }
}

fn flatten<'a>(json: &'a Json, dims: &[usize], numbers: &mut Vec<&'a Json>) -> bool {
    match (json, dims) {
        (Json::Array(items), [dim, dims @ ..]) if items.len() == *dim => {
            items.iter().all(|item| flatten(item, dims, numbers))
        }
        (Json::Number(_) | Json::Bool(_), []) => {
            numbers.push(json);
            true
        }
        _ => false,
    }
}

/// The operands of a call, by the names of its arguments; one at least must be a tensor.
pub(super) fn operands<'a, T: Typed, const N: usize>(
    x: &'a Args<T>,
    names: [&str; N],
) -> Result<[Operand<'a, T>; N]> {
    let mut operands = Vec::with_capacity(N);
    for (index, name) in names.iter().enumerate() {
        operands.push(match x.at(index, name) {
            Some(arg) => operand(arg).map_err(|e| argument(name, e))?,
            None => return Err(Error::layer("", format!("the argument {name} is missing"))),
        });
    }
    if operands.iter().all(|operand| matches!(operand, Operand::Constant(_))) {
        return Err(Error::layer("", "one of the operands must be a tensor"));
    }
    operands.try_into().map_err(|_| Error::layer("", "the operands do not fit"))
}

/// One argument as an operand.
pub(super) fn operand<T>(arg: &Arg<T>) -> Result<Operand<'_, T>> {
    match arg {
        Arg::One(tensor) => Ok(Operand::Tensor(tensor)),
        Arg::Json(json) => Constant::read(json).map(Operand::Constant),
        _ => Err(Error::layer("", "must be a tensor or a number")),
    }
}

/// The operands of an argument that is a list.
pub(super) fn list<'a, T: Typed>(x: &'a Args<T>, name: &str) -> Result<Vec<Operand<'a, T>>> {
    match x.at(0, name) {
        Some(Arg::List(items)) if !items.is_empty() => {
            items.iter().map(|item| operand(item).map_err(|e| argument(name, e))).collect()
        }
        _ => Err(Error::layer("", format!("the argument {name} must be a list of tensors"))),
    }
}

/// An argument that must be a tensor.
pub(super) fn tensor<'a, T>(x: &'a Args<T>, index: usize, name: &str) -> Result<&'a T> {
    let arg = x.at(index, name).and_then(Arg::one);
    arg.ok_or_else(|| Error::layer("", format!("the argument {name} must be a tensor")))
}

fn argument(name: &str, error: Error) -> Error {
    match error {
        Error::Config { message, .. } => Error::layer("", format!("argument {name}: {message}")),
        Error::Layer { message, .. } => Error::layer("", format!("argument {name}: {message}")),
        other => other,
    }
}

/// The device of a call.
pub(super) fn device(x: &Args<Value>) -> Device {
    x.flat().first().map_or(Device::Cpu, |value| value.tensor.device().clone())
}

/// The type of a result, as Keras promotes: the widest float there is; a float if there is a number
/// with a point; else the integer type that holds all.
pub(super) fn common(types: impl IntoIterator<Item = Type> + Clone) -> DType {
    let strong = types.clone().into_iter().filter_map(|ty| match ty {
        Type::Of(dtype) => Some(dtype),
        _ => None,
    });
    let real = types.into_iter().any(|ty| ty == Type::Real);
    match strong.reduce(common_type) {
        Some(dtype) if dtype.is_float() || !real => dtype,
        None if !real => DType::I32,
        _ => DType::F32,
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

/// The shape that shapes broadcast to.
///
/// # Errors
/// If they do not go together.
pub(super) fn broadcast(shapes: &[Dims]) -> Result<Dims> {
    let both = |a: Dims, b: &Dims| {
        let rank = a.rank().max(b.rank());
        let axis = |dims: &Dims, i: usize| match (i + dims.rank()).checked_sub(rank) {
            Some(i) => dims.0.get(i).copied().flatten(),
            None => Some(1),
        };
        let axes = (0..rank).map(|i| match (axis(&a, i), axis(b, i)) {
            (Some(1), other) | (other, Some(1)) => Some(other),
            (None, other) | (other, None) => Some(other),
            (Some(a), Some(b)) => (a == b).then_some(Some(a)),
        });
        axes.collect::<Option<Vec<_>>>().map(Dims).ok_or_else(|| {
            let message = format!("shapes {a} and {b} cannot be broadcast together");
            Error::layer("", message)
        })
    };
    shapes.iter().try_fold(Dims::default(), both)
}

/// The type that the functions of floats compute integers in.
pub(super) fn float(dtype: DType) -> DType {
    if dtype.is_float() { dtype } else { DType::F32 }
}
