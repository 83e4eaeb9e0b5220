//! Products of matrices and tensors.

use super::arguments::{Operand, Type, common, device, operands};
use super::{Operation, one};
use crate::Axes;
use sconce_core::axes::position;
use sconce_core::device::cast;
use sconce_core::{Args, Config, DType, Device, Dims, Error, Result, Spec, Tensor, Value};
use sconce_ops::einsum;

/// The axes of operands by name, and of the result.
struct Equation {
    inputs: Vec<Vec<u32>>,
    output: Vec<u32>,
}

impl Equation {
    /// The shape of the result.
    fn dims(&self, shapes: &[Dims]) -> Result<Dims> {
        let length = |name: &u32| {
            let mut length = Some(Some(1));
            for (axes, dims) in self.inputs.iter().zip(shapes) {
                for (_, other) in axes.iter().zip(&dims.0).filter(|(axis, _)| *axis == name) {
                    length = match (length, *other) {
                        (Some(Some(1)), other) => Some(other),
                        (length, Some(1)) => length,
                        (Some(None), other) => Some(other),
                        (length, None) => length,
                        (Some(a), b) => (a == b).then_some(b),
                        (None, _) => None,
                    };
                }
            }
            length.ok_or_else(|| {
                let shapes: Vec<String> = shapes.iter().map(Dims::to_string).collect();
                let message = format!("shapes {} cannot be multiplied", shapes.join(" and "));
                Error::layer("", message)
            })
        };
        // Names that are summed over must agree too.
        self.inputs.iter().flatten().try_for_each(|name| length(name).map(drop))?;
        self.output.iter().map(length).collect::<Result<_>>().map(Dims)
    }

    fn infer(&self, operands: &[Operand<'_, Spec>]) -> Result<Vec<Spec>> {
        let dims = self.dims(&operands.iter().map(Operand::dims).collect::<Vec<_>>())?;
        let types: Vec<Type> = operands.iter().map(Operand::ty).collect();
        one(Spec { dims, dtype: common(types) })
    }

    fn compute(&self, operands: &[Operand<'_, Value>], device: &Device) -> Result<Vec<Tensor>> {
        let types: Vec<Type> = operands.iter().map(Operand::ty).collect();
        let dtype = common(types);
        // Products of integers are computed in f64, which is exact up to 2^53.
        let wide = if dtype.is_float() { dtype } else { DType::F64 };
        let tensors: Vec<Tensor> =
            operands.iter().map(|operand| operand.tensor(wide, device)).collect::<Result<_>>()?;
        let names = self.inputs.iter().map(Vec::as_slice);
        let y = einsum(&tensors.iter().zip(names).collect::<Vec<_>>(), &self.output)?;
        one(cast(&y, dtype)?)
    }
}

macro_rules! products {
    ($($(#[$doc:meta])* $name:ident $equation:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(module = "keras.src.ops.numpy")]
        pub struct $name {}

        impl Operation for $name {
            const ARGUMENTS: &'static [&'static str] = &["x1", "x2"];

            fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let operands = operands(x, ["x1", "x2"])?;
                let [a, b] = operands.each_ref().map(|operand| operand.dims().rank());
                $equation(a, b)?.infer(&operands)
            }

            fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
                let operands = operands(x, ["x1", "x2"])?;
                let [a, b] = operands.each_ref().map(rank);
                $equation(a, b)?.compute(&operands, &device(x))
            }
        }
    )*};
}

products! {
    /// The product of matrices, `[.., n, k]` and `[.., k, m]` to `[.., n, m]`; axes before those
    /// broadcast, and a vector is a row on the left, a column on the right. Keras: `ops.matmul`.
    Matmul matmul;
    /// The sum of products over the last axis of x1 and the last but one of x2. Keras: `ops.dot`.
    Dot dot;
}

fn rank(operand: &Operand<'_, Value>) -> usize {
    match operand {
        Operand::Tensor(value) => value.tensor.rank(),
        Operand::Constant(constant) => constant.dims.len(),
    }
}

const ROW: u32 = u32::MAX;
const INNER: u32 = u32::MAX - 1;
const COLUMN: u32 = u32::MAX - 2;

fn matmul(a: usize, b: usize) -> Result<Equation> {
    if a == 0 || b == 0 {
        return Err(Error::layer("", "Matmul takes no scalars; multiply with `*`"));
    }
    // Axes before the last two are named by their place from the end.
    let batch = |rank: usize| (0..rank.saturating_sub(2)).rev().map(|i| i as u32);
    let mut left: Vec<u32> = batch(a).collect();
    let mut right: Vec<u32> = batch(b).collect();
    let mut output: Vec<u32> = batch(a.max(b)).collect();
    if a > 1 {
        left.push(ROW);
        output.push(ROW);
    }
    left.push(INNER);
    right.push(INNER);
    if b > 1 {
        right.push(COLUMN);
        output.push(COLUMN);
    }
    Ok(Equation { inputs: vec![left, right], output })
}

fn dot(a: usize, b: usize) -> Result<Equation> {
    match (a, b) {
        (0, _) | (_, 0) => contracted(a, b, &[], &[]),
        (a, b) => contracted(a, b, &[a - 1], &[b.saturating_sub(2)]),
    }
}

/// The product summed over pairs of axes; the rest of x1 and then of x2 remain.
fn contracted(a: usize, b: usize, of_a: &[usize], of_b: &[usize]) -> Result<Equation> {
    let left: Vec<u32> = (0..a as u32).collect();
    let right: Vec<u32> = (0..b)
        .map(|axis| match of_b.iter().position(|other| *other == axis) {
            Some(pair) => of_a.get(pair).map_or(0, |axis| *axis as u32),
            None => (a + axis) as u32,
        })
        .collect();
    let rest = |axes: &[u32], gone: &[usize]| -> Vec<u32> {
        let kept = axes.iter().enumerate().filter(|(i, _)| !gone.contains(i));
        kept.map(|(_, name)| *name).collect()
    };
    let output = [rest(&left, of_a), rest(&right, of_b)].concat();
    Ok(Equation { inputs: vec![left, right], output })
}

/// The sum of products over axes of both. Keras: `ops.tensordot`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Tensordot {
    /// How many of the last axes of x1 and the first of x2; or their axes, `[[1], [0]]`.
    #[config(default = 2)]
    pub axes: AxesOfBoth,
}

/// The axes of a [`Tensordot`].
#[derive(Clone, Debug, PartialEq)]
pub enum AxesOfBoth {
    /// The last of x1 and the first of x2.
    Count(usize),
    /// Those of x1 and of x2.
    Pairs(Axes, Axes),
}

impl From<usize> for AxesOfBoth {
    fn from(count: usize) -> Self {
        Self::Count(count)
    }
}

impl sconce_core::ConfigValue for AxesOfBoth {
    fn from_json(value: &sconce_core::Json) -> Result<Self> {
        match value {
            sconce_core::Json::Array(both) => match both.as_slice() {
                [a, b] => Ok(Self::Pairs(Axes::from_json(a)?, Axes::from_json(b)?)),
                _ => Err(sconce_core::value::mismatch("a number or a pair of axes", value)),
            },
            count => usize::from_json(count).map(Self::Count),
        }
    }

    fn to_json(&self) -> Result<sconce_core::Json> {
        match self {
            Self::Count(count) => count.to_json(),
            Self::Pairs(a, b) => Ok(vec![a.to_json()?, b.to_json()?].into()),
        }
    }

    fn schema(_: &mut sconce_core::schema::Definitions) -> sconce_core::Json {
        serde_json::json!({"type": ["integer", "array"], "minimum": 0})
    }
}

impl Tensordot {
    fn equation(&self, a: usize, b: usize) -> Result<Equation> {
        let (of_a, of_b): (Vec<usize>, Vec<usize>) = match &self.axes {
            AxesOfBoth::Count(count) if *count <= a.min(b) => {
                ((a - count..a).collect(), (0..*count).collect())
            }
            AxesOfBoth::Pairs(of_a, of_b) if of_a.as_slice().len() == of_b.as_slice().len() => {
                let places = |axes: &Axes, rank: usize| {
                    axes.as_slice().iter().map(|axis| position(*axis, rank)).collect::<Result<_>>()
                };
                (places(of_a, a)?, places(of_b, b)?)
            }
            axes => {
                let message = format!("axes: {axes:?} do not fit operands of {a} and {b} axes");
                return Err(Error::layer("", message));
            }
        };
        contracted(a, b, &of_a, &of_b)
    }
}

impl Operation for Tensordot {
    const ARGUMENTS: &'static [&'static str] = &["x1", "x2"];

    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let operands = operands(x, ["x1", "x2"])?;
        let [a, b] = operands.each_ref().map(|operand| operand.dims().rank());
        self.equation(a, b)?.infer(&operands)
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let operands = operands(x, ["x1", "x2"])?;
        let [a, b] = operands.each_ref().map(rank);
        self.equation(a, b)?.compute(&operands, &device(x))
    }
}

/// The sum of products that an equation states, "btd,bsd->bts". Keras: `ops.einsum`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Einsum {
    /// The axes of each operand, and of the result after `->`; without it, the names that stand once,
    /// in the order of the alphabet. `...` stands for any number of axes.
    pub subscripts: String,
}

impl Einsum {
    fn equation(&self, ranks: &[usize]) -> Result<Equation> {
        let wrong = |message: String| Error::config("subscripts", message);
        let text: String = self.subscripts.chars().filter(|c| !c.is_whitespace()).collect();
        let (inputs, output) = match text.split_once("->") {
            Some((inputs, output)) => (inputs, Some(output)),
            None => (text.as_str(), None),
        };
        let inputs: Vec<&str> = inputs.split(',').collect();
        if inputs.len() != ranks.len() {
            let message = format!("names {} operands, the call has {}", inputs.len(), ranks.len());
            return Err(wrong(message));
        }
        let mut names = Vec::new();
        let mut most = 0;
        for (word, rank) in inputs.iter().zip(ranks) {
            let letters = word.replace("...", "").chars().count();
            let rest = match word.contains("...") {
                true => rank.checked_sub(letters),
                false => (letters == *rank).then_some(0),
            };
            let rest = rest.ok_or_else(|| {
                wrong(format!("`{word}` names {letters} axes, the operand has {rank}"))
            })?;
            most = most.max(rest);
            names.push(axes_of(word, rest).ok_or_else(|| {
                wrong(format!("`{word}` must be letters, each once, and at most one `...`"))
            })?);
        }
        let output = match output {
            Some(word) => axes_of(word, most).ok_or_else(|| {
                wrong(format!("`{word}` must be letters, each once, and at most one `...`"))
            })?,
            None => {
                let all: Vec<u32> = names.iter().flatten().copied().collect();
                let mut once: Vec<u32> = all
                    .iter()
                    .copied()
                    .filter(|name| all.iter().filter(|other| *other == name).count() == 1)
                    .collect();
                once.sort_unstable();
                let rest = (0..most).rev().map(|i| ELIDED + i as u32);
                rest.chain(once.into_iter().filter(|name| *name < ELIDED)).collect()
            }
        };
        if let Some(name) = output.iter().find(|name| !names.iter().flatten().any(|n| n == *name)) {
            let name = char::from_u32(*name).unwrap_or('.');
            return Err(wrong(format!("`{name}` of the result is an axis of no operand")));
        }
        Ok(Equation { inputs: names, output })
    }
}

/// Names of the axes that `...` stands for: this, plus the place from the end.
const ELIDED: u32 = 1 << 24;

fn axes_of(word: &str, rest: usize) -> Option<Vec<u32>> {
    let (before, after) = word.split_once("...").unwrap_or((word, ""));
    let rest = if word.contains("...") { rest } else { 0 };
    let letter = |c: char| c.is_ascii_alphabetic().then_some(c as u32);
    let mut axes: Vec<u32> = before.chars().map(letter).collect::<Option<_>>()?;
    axes.extend((0..rest).rev().map(|i| ELIDED + i as u32));
    axes.extend(after.chars().map(letter).collect::<Option<Vec<_>>>()?);
    let twice = axes.iter().enumerate().any(|(i, axis)| axes[..i].contains(axis));
    (!twice).then_some(axes)
}

/// The operands of a call with any number of them.
fn all<T>(x: &Args<T>) -> Result<Vec<Operand<'_, T>>> {
    x.positional.iter().map(super::arguments::operand).collect()
}

/// Names for as many operands as anybody multiplies at once.
const OPERANDS: &[&str] = &["x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8"];

impl Operation for Einsum {
    const ARGUMENTS: &'static [&'static str] = OPERANDS;

    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let operands = all(x)?;
        let ranks: Vec<usize> = operands.iter().map(|operand| operand.dims().rank()).collect();
        self.equation(&ranks)?.infer(&operands)
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let operands = all(x)?;
        let ranks: Vec<usize> = operands.iter().map(rank).collect();
        self.equation(&ranks)?.compute(&operands, &device(x))
    }
}
