//! Types, and constants in the shape of a tensor.

use super::arguments::{Operand, device, operand, tensor};
use super::{Operation, one};
use sconce_core::device::cast;
use sconce_core::policy::dtype_of;
use sconce_core::{Args, Config, DType, Error, Result, Spec, Tensor, Value};

/// x in another type. Floats lose what is behind the point; every number but 0 is true. Keras:
/// `ops.cast`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.core")]
pub struct Cast {
    /// Keras's name of the type: "int32".
    pub dtype: String,
}

impl Operation for Cast {
    const PROBABILITIES: Option<bool> = None;

    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        one(Spec { dims: tensor(x, 0, "x")?.dims.clone(), dtype: dtype_of(&self.dtype)? })
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let x = &tensor(x, 0, "x")?.tensor;
        one(match self.dtype.as_str() {
            "bool" => x.detach().ne(0f64)?,
            name => cast(x, dtype_of(name)?)?,
        })
    }
}

/// x, in another type if one is stated. Keras: `ops.convert_to_tensor`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.core", only(sparse = null, ragged = null))]
pub struct ConvertToTensor {
    /// Keras's name of the type; that of x if `None`.
    pub dtype: Option<String>,
}

impl Operation for ConvertToTensor {
    const PROBABILITIES: Option<bool> = None;

    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        match &self.dtype {
            Some(dtype) => Cast::new(dtype.clone()).infer(x),
            None => one(tensor(x, 0, "x")?.clone()),
        }
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        match &self.dtype {
            Some(dtype) => Cast::new(dtype.clone()).compute(x),
            None => one(tensor(x, 0, "x")?.tensor.clone()),
        }
    }
}

macro_rules! as_they_are {
    ($($(#[$doc:meta])* $module:literal $name:ident $argument:literal $function:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(module = $module)]
        pub struct $name {}

        impl Operation for $name {
            const ARGUMENTS: &'static [&'static str] = &[$argument];
            const PROBABILITIES: Option<bool> = None;

            fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                one(tensor(x, 0, $argument)?.clone())
            }

            fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
                let function: fn(&Tensor) -> Tensor = $function;
                one(function(&tensor(x, 0, $argument)?.tensor))
            }
        }
    )*};
}

as_they_are! {
    /// x. Keras: `ops.copy`.
    "keras.src.ops.numpy" Copy "x" Tensor::clone;
    /// x, through which no gradient goes. Keras: `ops.stop_gradient`.
    "keras.src.ops.core" StopGradient "variable" Tensor::detach;
}

macro_rules! filled {
    ($($(#[$doc:meta])* $name:ident $function:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(module = "keras.src.ops.numpy")]
        pub struct $name {
            /// Keras's name of the type; that of x if `None`.
            pub dtype: Option<String>,
        }

        impl Operation for $name {
            fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let x = tensor(x, 0, "x")?;
                one(Spec { dims: x.dims.clone(), dtype: stated(&self.dtype, x.dtype)? })
            }

            fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
                let x = &tensor(x, 0, "x")?.tensor;
                let dtype = stated(&self.dtype, x.dtype())?;
                one(Tensor::$function(x.shape(), dtype, x.device())?)
            }
        }
    )*};
}

filled! {
    /// Zeros in the shape of x. Keras: `ops.zeros_like`.
    ZerosLike zeros;
    /// Ones in the shape of x. Keras: `ops.ones_like`.
    OnesLike ones;
}

/// A stated type, or else another.
pub(super) fn stated(name: &Option<String>, other: DType) -> Result<DType> {
    name.as_deref().map_or(Ok(other), dtype_of)
}

/// A value in the shape of x. Keras: `ops.full_like`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct FullLike {
    /// Keras's name of the type; that of x if `None`.
    pub dtype: Option<String>,
}

impl Operation for FullLike {
    const ARGUMENTS: &'static [&'static str] = &["x", "fill_value"];

    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = tensor(x, 0, "x")?;
        one(Spec { dims: x.dims.clone(), dtype: stated(&self.dtype, x.dtype)? })
    }

    fn compute(&self, args: &Args<Value>) -> Result<Vec<Tensor>> {
        let x = &tensor(args, 0, "x")?.tensor;
        let Some(value) = args.at(1, "fill_value") else {
            return Err(Error::layer("", "the argument fill_value is missing"));
        };
        let value: Operand<'_, Value> = operand(value)?;
        let value = value.tensor(stated(&self.dtype, x.dtype())?, &device(args))?;
        one(value.broadcast_as(x.shape())?.contiguous()?)
    }
}
