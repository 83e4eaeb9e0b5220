//! Tensors joined, and taken apart.

use super::arguments::{Operand, Type, common, device, list, tensor};
use super::rearrangement::Counts;
use super::shape::refused;
use super::{Operation, one};
use sconce_core::axes::{known, position};
use sconce_core::{Args, Config, Dims, Result, Spec, Tensor, Value};

/// Tensors one after the other along an axis. Keras: `ops.concatenate`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Concatenate {
    /// The axis.
    #[config(default = 0)]
    pub axis: i64,
}

/// Tensors side by side along a new axis. Keras: `ops.stack`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Stack {
    /// Where the axis is in the result.
    #[config(default = 0)]
    pub axis: i64,
}

fn tensors(operands: &[Operand<'_, Value>], x: &Args<Value>) -> Result<Vec<Tensor>> {
    let dtype = common(operands.iter().map(Operand::ty).collect::<Vec<Type>>());
    operands.iter().map(|operand| operand.tensor(dtype, &device(x))).collect()
}

/// Shapes that agree on every axis but one, which is added up; and the type of the result.
fn joined(operands: &[Operand<'_, Spec>], axis: i64) -> Result<(Dims, usize, Spec)> {
    let shapes: Vec<Dims> = operands.iter().map(Operand::dims).collect();
    let first = shapes.first().cloned().unwrap_or_default();
    let axis = position(axis, first.rank())?;
    let mut dims = first.0.clone();
    for other in shapes.iter().skip(1) {
        let fits = other.rank() == dims.len()
            && dims
                .iter()
                .zip(&other.0)
                .enumerate()
                .all(|(i, (a, b))| i == axis || a.zip(*b).is_none_or(|(a, b)| a == b));
        if !fits {
            return refused(format!(
                "inputs of {first} and {other} cannot be joined at axis {axis}"
            ));
        }
        for (i, (own, other)) in dims.iter_mut().zip(&other.0).enumerate() {
            *own = match i == axis {
                true => own.zip(*other).and_then(|(a, b)| a.checked_add(b)),
                false => own.or(*other),
            };
        }
    }
    let dtype = common(operands.iter().map(Operand::ty).collect::<Vec<Type>>());
    Ok((first, axis, Spec { dims: Dims(dims), dtype }))
}

impl Operation for Concatenate {
    const ARGUMENTS: &'static [&'static str] = &["xs"];

    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        joined(&list(x, "xs")?, self.axis).map(|(_, _, spec)| vec![spec])
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let all = tensors(&list(x, "xs")?, x)?;
        let rank = all.first().map_or(0, Tensor::rank);
        one(Tensor::cat(&all, position(self.axis, rank)?)?)
    }
}

impl Operation for Stack {
    const ARGUMENTS: &'static [&'static str] = &["x"];

    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let operands = list(x, "x")?;
        let shapes: Vec<Dims> = operands.iter().map(Operand::dims).collect();
        let first = shapes.first().cloned().unwrap_or_default();
        let mut dims = first.0.clone();
        for other in &shapes {
            let fits = other.rank() == dims.len()
                && dims.iter().zip(&other.0).all(|(a, b)| a.zip(*b).is_none_or(|(a, b)| a == b));
            if !fits {
                return refused(format!("inputs of {first} and {other} cannot be stacked"));
            }
            dims.iter_mut().zip(&other.0).for_each(|(own, other)| *own = own.or(*other));
        }
        dims.insert(position(self.axis, first.rank() + 1)?, Some(operands.len()));
        let dtype = common(operands.iter().map(Operand::ty).collect::<Vec<Type>>());
        one(Spec { dims: Dims(dims), dtype })
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let all = tensors(&list(x, "x")?, x)?;
        let rank = all.first().map_or(0, Tensor::rank);
        one(Tensor::stack(&all, position(self.axis, rank + 1)?)?)
    }
}

/// x in parts along an axis, one result each. Keras: `ops.split`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Split {
    /// How many parts of equal length, or where the second and the following parts begin.
    pub indices_or_sections: Counts,
    /// The axis.
    #[config(default = 0)]
    pub axis: i64,
}

impl Split {
    /// The starts and lengths of the parts.
    fn parts(&self, len: usize) -> Result<Vec<(usize, usize)>> {
        match &self.indices_or_sections {
            Counts::One(count) if *count > 0 && len.is_multiple_of(*count) => {
                let part = len / count;
                Ok((0..*count).map(|i| (i * part, part)).collect())
            }
            Counts::One(count) => {
                refused(format!("an axis of length {len} has no {count} equal parts"))
            }
            Counts::Many(starts) => {
                let starts: Vec<usize> = std::iter::once(0)
                    .chain(starts.iter().map(|start| (*start).min(len)))
                    .collect();
                let ends = starts.iter().skip(1).copied().chain([len]);
                Ok(starts.iter().zip(ends).map(|(a, b)| (*a, b.saturating_sub(*a))).collect())
            }
        }
    }
}

impl Operation for Split {
    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = tensor(x, 0, "x")?;
        let axis = position(self.axis, x.dims.rank())?;
        let part = |(_, length)| {
            let mut dims = x.dims.0.clone();
            if let Some(axis) = dims.get_mut(axis) {
                *axis = Some(length);
            }
            x.with_dims(Dims(dims))
        };
        Ok(self.parts(known(&x.dims, axis)?)?.into_iter().map(part).collect())
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let x = &tensor(x, 0, "x")?.tensor;
        let axis = position(self.axis, x.rank())?;
        let parts = self.parts(x.dim(axis)?)?.into_iter();
        parts.map(|(start, len)| Ok(x.narrow(axis, start, len)?.contiguous()?)).collect()
    }
}

/// The values at each place of an axis, one result each. Keras: `ops.unstack`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.core")]
pub struct Unstack {
    /// The length of the axis; taken from x if `None`.
    pub num: Option<usize>,
    /// The axis.
    #[config(default = 0)]
    pub axis: i64,
}

impl Operation for Unstack {
    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = tensor(x, 0, "x")?;
        let axis = position(self.axis, x.dims.rank())?;
        let length = match (self.num, x.dims.0.get(axis).copied().flatten()) {
            (Some(num), Some(length)) if num != length => {
                return refused(format!("num is {num}, the axis of length {length}"));
            }
            (Some(num), _) => num,
            (None, _) => known(&x.dims, axis)?,
        };
        let mut dims = x.dims.0.clone();
        dims.remove(axis);
        Ok(vec![x.with_dims(Dims(dims)); length])
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let x = &tensor(x, 0, "x")?.tensor;
        let axis = position(self.axis, x.rank())?;
        let part = |i| Ok(x.narrow(axis, i, 1)?.squeeze(axis)?.contiguous()?);
        (0..x.dim(axis)?).map(part).collect()
    }
}
