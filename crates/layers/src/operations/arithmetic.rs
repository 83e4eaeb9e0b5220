//! Functions of two operands with NumPy's broadcasting: arithmetic, comparisons, logic.

use super::arguments::{Operand, Type, broadcast, common, device, operands};
use super::{Operation, one};
use sconce_core::device::cast;
use sconce_core::{Args, Config, DType, Result, Spec, Tensor, Value};
use sconce_ops::Operation as _;
use sconce_ops::activations::Map;
use sconce_ops::arithmetic::{Operator, arithmetic};
use sconce_ops::functions::PowerOf;

/// What is computed of two operands.
#[derive(Clone, Copy)]
enum Binary {
    Arithmetic(Operator),
    Power,
    FloorDivide,
    Mod,
    Comparison(Relation),
    Logic(Connective),
}

#[derive(Clone, Copy)]
enum Relation {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
}

#[derive(Clone, Copy)]
enum Connective {
    And,
    Or,
    Xor,
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident: $binary:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(module = "keras.src.ops.numpy")]
        pub struct $name {}

        impl Operation for $name {
            const ARGUMENTS: &'static [&'static str] = &["x1", "x2"];

            fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let operands = operands(x, ["x1", "x2"])?;
                let dims = broadcast(&operands.each_ref().map(Operand::dims))?;
                one(Spec { dims, dtype: $binary.result(operands.each_ref().map(Operand::ty)) })
            }

            fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
                $binary.compute(x).and_then(one)
            }
        }
    )*};
}

binary! {
    /// `x1 + x2`. Keras: `ops.add`.
    Add: Binary::Arithmetic(Operator::Add);
    /// `x1 - x2`. Keras: `ops.subtract`.
    Subtract: Binary::Arithmetic(Operator::Subtract);
    /// `x1 x2`. Keras: `ops.multiply`.
    Multiply: Binary::Arithmetic(Operator::Multiply);
    /// `x1 / x2`, a float also of integers. Keras: `ops.true_divide`.
    TrueDivide: Binary::Arithmetic(Operator::Divide);
    /// `x1 / x2`, a float also of integers. Keras: `ops.divide`.
    Divide: Binary::Arithmetic(Operator::Divide);
    /// The larger of both. Where they are equal, each gets half of the gradient. Keras: `ops.maximum`.
    Maximum: Binary::Arithmetic(Operator::Maximum);
    /// The smaller of both. Where they are equal, each gets half of the gradient. Keras: `ops.minimum`.
    Minimum: Binary::Arithmetic(Operator::Minimum);
    /// `x1^x2`; of a negative x1 for whole x2. Keras: `ops.power`.
    Power: Binary::Power;
    /// `x1 / x2` rounded down. Keras: `ops.floor_divide`.
    FloorDivide: Binary::FloorDivide;
    /// What is left of x1 after whole multiples of x2, with the sign of x2. Keras: `ops.mod`.
    Mod: Binary::Mod;
    /// Where x1 = x2. Keras: `ops.equal`.
    Equal: Binary::Comparison(Relation::Equal);
    /// Where x1 and x2 differ. Keras: `ops.not_equal`.
    NotEqual: Binary::Comparison(Relation::NotEqual);
    /// Where x1 > x2. Keras: `ops.greater`.
    Greater: Binary::Comparison(Relation::Greater);
    /// Where x1 >= x2. Keras: `ops.greater_equal`.
    GreaterEqual: Binary::Comparison(Relation::GreaterEqual);
    /// Where x1 < x2. Keras: `ops.less`.
    Less: Binary::Comparison(Relation::Less);
    /// Where x1 <= x2. Keras: `ops.less_equal`.
    LessEqual: Binary::Comparison(Relation::LessEqual);
    /// Where neither x1 nor x2 is 0. Keras: `ops.logical_and`.
    LogicalAnd: Binary::Logic(Connective::And);
    /// Where x1 or x2 is not 0. Keras: `ops.logical_or`.
    LogicalOr: Binary::Logic(Connective::Or);
    /// Where one of x1 and x2 is 0 and the other is not. Keras: `ops.logical_xor`.
    LogicalXor: Binary::Logic(Connective::Xor);
}

impl Binary {
    /// The type of the result.
    fn result(self, types: [Type; 2]) -> DType {
        match (self, common(types)) {
            (Self::Comparison(_) | Self::Logic(_), _) => DType::U8,
            (Self::Arithmetic(Operator::Divide), dtype) if !dtype.is_float() => DType::F32,
            (_, dtype) => dtype,
        }
    }

    fn compute(self, x: &Args<Value>) -> Result<Tensor> {
        let operands = operands(x, ["x1", "x2"])?;
        let types = operands.each_ref().map(Operand::ty);
        let device = device(x);
        let dtype = match self {
            Self::Comparison(_) | Self::Logic(_) => common(types),
            _ => self.result(types),
        };
        let both = |dtype: DType| -> Result<[Tensor; 2]> {
            let [a, b] = &operands;
            Ok([a.tensor(dtype, &device)?, b.tensor(dtype, &device)?])
        };
        Ok(match self {
            Self::Arithmetic(operator) => {
                let [a, b] = both(dtype)?;
                arithmetic(operator, &a, &b)?
            }
            Self::Power => {
                // Of integers in f64, which has room for what i32 can hold.
                let wide = if dtype.is_float() { dtype } else { DType::F64 };
                let [a, b] = both(wide)?;
                let constant = matches!(&operands[1], Operand::Constant(_)) && b.rank() == 0;
                let y = match constant {
                    true => {
                        let exponent = b.to_dtype(DType::F64)?.to_scalar::<f64>()?;
                        Map(PowerOf(exponent)).apply(&[&a])?
                    }
                    false => arithmetic(Operator::Power, &a, &b)?,
                };
                cast(&y, dtype)?
            }
            Self::FloorDivide | Self::Mod => {
                let wide = if dtype.is_float() { dtype } else { DType::F64 };
                let [a, b] = both(wide)?;
                let quotient = a.detach().broadcast_div(&b.detach())?.floor()?;
                let y = match self {
                    Self::Mod => {
                        let multiple = arithmetic(Operator::Multiply, &quotient, &b)?;
                        arithmetic(Operator::Subtract, &a, &multiple)?
                    }
                    _ => quotient,
                };
                cast(&y, dtype)?
            }
            Self::Comparison(relation) => {
                let [a, b] = both(dtype)?.map(|t| t.detach());
                match relation {
                    Relation::Equal => a.broadcast_eq(&b)?,
                    Relation::NotEqual => a.broadcast_ne(&b)?,
                    Relation::Greater => a.broadcast_gt(&b)?,
                    Relation::GreaterEqual => a.broadcast_ge(&b)?,
                    Relation::Less => a.broadcast_lt(&b)?,
                    Relation::LessEqual => a.broadcast_le(&b)?,
                }
            }
            Self::Logic(connective) => {
                let [a, b] = both(dtype)?.map(|t| t.detach().ne(0f64));
                let (a, b) = (a?, b?);
                match connective {
                    Connective::And => a.broadcast_minimum(&b)?,
                    Connective::Or => a.broadcast_maximum(&b)?,
                    Connective::Xor => a.broadcast_ne(&b)?,
                }
            }
        })
    }
}
