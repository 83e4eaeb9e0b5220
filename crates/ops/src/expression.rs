//! Formulas over whole tensors, in candle operations that every device has.

use crate::number::{Mask, Number, Operand};
use candle_core::op::CmpOp;
use candle_core::{Error, Result, Tensor};
use std::cell::RefCell;
use std::f64::consts::{FRAC_1_SQRT_2, TAU};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Computes a formula of tensors of one shape and float type.
///
/// The formula is recorded first and then computed. So it need not handle errors; steps on which the
/// result does not depend are left out, and each tensor is freed after its last use.
///
/// # Errors
/// The first error of a step.
pub fn compute<const N: usize>(
    inputs: [&Tensor; N],
    formula: impl for<'a> FnOnce([Expression<'a>; N]) -> Expression<'a>,
) -> Result<Tensor> {
    let mut results = compute_all(inputs, |inputs| vec![formula(inputs)])?;
    results.pop().ok_or_else(|| Error::msg("a formula has no result"))
}

/// Computes a formula with several results, see [`compute`].
///
/// # Errors
/// The first error of a step.
pub fn compute_all<const N: usize>(
    inputs: [&Tensor; N],
    formula: impl for<'a> FnOnce([Expression<'a>; N]) -> Vec<Expression<'a>>,
) -> Result<Vec<Tensor>> {
    let steps = Steps { inputs: N, list: RefCell::default() };
    let results = formula(std::array::from_fn(|index| Expression { steps: &steps, index }));
    let results: Vec<usize> = results.into_iter().map(|result| result.index).collect();
    steps.run(&inputs, &results)
}

/// The steps of a formula. What they compute is numbered, the inputs first.
struct Steps {
    inputs: usize,
    list: RefCell<Vec<Step>>,
}

struct Step {
    operands: Vec<usize>,
    run: Box<Run>,
}

type Run = dyn Fn(&[Tensor]) -> Result<Tensor>;

impl Steps {
    fn run(self, inputs: &[&Tensor], results: &[usize]) -> Result<Vec<Tensor>> {
        let steps = self.list.into_inner();
        let numbered = || (self.inputs..self.inputs + steps.len()).zip(&steps);
        // The last step that reads each; none where the result does not depend on it.
        let mut last_use = vec![None; self.inputs + steps.len()];
        for result in results {
            last_use[*result] = Some(usize::MAX);
        }
        for (index, step) in numbered().rev() {
            if last_use[index].is_some() {
                for operand in &step.operands {
                    last_use[*operand].get_or_insert(index);
                }
            }
        }
        let mut values: Vec<Option<Tensor>> = inputs.iter().map(|x| Some((*x).clone())).collect();
        for (index, step) in numbered() {
            if last_use[index].is_none() {
                values.push(None);
                continue;
            }
            let operands: Vec<_> =
                step.operands.iter().filter_map(|x| values[*x].clone()).collect();
            values.push(Some((step.run)(&operands)?));
            for operand in &step.operands {
                if last_use[*operand] == Some(index) {
                    values[*operand] = None;
                }
            }
        }
        let value = |result: &usize| values.get(*result).cloned().flatten();
        let value = |result| value(result).ok_or_else(|| Error::msg("a formula has no result"));
        results.iter().map(value).collect()
    }
}

/// A number in a formula of tensors, see [`compute`].
#[derive(Clone, Copy)]
pub struct Expression<'a> {
    steps: &'a Steps,
    index: usize,
}

impl<'a> Expression<'a> {
    fn map(self, run: impl Fn(&Tensor) -> Result<Tensor> + 'static) -> Self {
        self.push(vec![self.index], move |x| run(&x[0]))
    }

    fn map2(self, y: Self, run: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + 'static) -> Self {
        self.push(vec![self.index, y.index], move |x| run(&x[0], &x[1]))
    }

    fn push(
        self,
        operands: Vec<usize>,
        run: impl Fn(&[Tensor]) -> Result<Tensor> + 'static,
    ) -> Self {
        let mut list = self.steps.list.borrow_mut();
        list.push(Step { operands, run: Box::new(run) });
        Self { steps: self.steps, index: self.steps.inputs + list.len() - 1 }
    }

    fn compare(self, other: impl Into<Operand<Self>>, how: CmpOp) -> Comparison<'a> {
        let mask = match other.into() {
            Operand::Constant(other) => self.map(move |x| x.cmp(other, how)),
            Operand::Number(other) => self.map2(other, move |x, y| x.cmp(y, how)),
        };
        Comparison { mask, like: self }
    }
}

/// Where a comparison of tensors holds.
#[derive(Clone, Copy)]
pub struct Comparison<'a> {
    /// 1 or 0, in U8.
    mask: Expression<'a>,
    /// What was compared: the type of the numbers.
    like: Expression<'a>,
}

/// A constant for each element of `like`.
fn full(like: &Tensor, constant: f64) -> Result<Tensor> {
    like.zeros_like()?.affine(1.0, constant)
}

impl<'a> Mask<Expression<'a>> for Comparison<'a> {
    fn select(
        self,
        yes: impl Into<Operand<Expression<'a>>>,
        no: impl Into<Operand<Expression<'a>>>,
    ) -> Expression<'a> {
        let Self { mask, like } = self;
        match (yes.into(), no.into()) {
            (Operand::Constant(yes), Operand::Constant(0.0)) => {
                mask.map2(like, move |mask, like| mask.to_dtype(like.dtype())? * yes)
            }
            (yes, no) => {
                let number = |operand| match operand {
                    Operand::Constant(constant) => like.map(move |x| full(x, constant)),
                    Operand::Number(number) => number,
                };
                let (yes, no) = (number(yes), number(no));
                let operands = vec![mask.index, yes.index, no.index];
                mask.push(operands, |x| x[0].where_cond(&x[1], &x[2]))
            }
        }
    }
}

impl Neg for Expression<'_> {
    type Output = Self;
    fn neg(self) -> Self {
        self.map(Tensor::neg)
    }
}

macro_rules! operators {
    ($($operator:ident $name:ident;)*) => {$(
        impl $operator for Expression<'_> {
            type Output = Self;
            fn $name(self, other: Self) -> Self {
                self.map2(other, |x, y| $operator::$name(x, y))
            }
        }
        impl $operator<f64> for Expression<'_> {
            type Output = Self;
            fn $name(self, other: f64) -> Self {
                self.map(move |x| $operator::$name(x, other))
            }
        }
    )*};
}

operators! {
    Add add;
    Sub sub;
    Mul mul;
    Div div;
}

macro_rules! functions {
    ($($name:ident)*) => {$(
        fn $name(self) -> Self {
            self.map(Tensor::$name)
        }
    )*};
}

macro_rules! comparisons {
    ($($name:ident $how:ident;)*) => {$(
        fn $name(self, other: impl Into<Operand<Self>>) -> Comparison<'a> {
            self.compare(other, CmpOp::$how)
        }
    )*};
}

impl<'a> Number for Expression<'a> {
    type Mask = Comparison<'a>;

    functions! { abs sqrt recip exp sin cos tanh }

    fn ln(self) -> Self {
        self.map(Tensor::log)
    }

    fn powf(self, exponent: f64) -> Self {
        self.map(move |x| x.powf(exponent))
    }

    /// 2 t / (1 - t), where t = tanh(x / 2).
    fn exp_m1(self) -> Self {
        let t = (self * 0.5).tanh();
        t * 2.0 / (-t + 1.0)
    }

    /// Kahan's correction of ln(u), u = 1 + x. Where that rounds to 1, the result is x.
    fn ln_1p(self) -> Self {
        let u = self + 1.0;
        let d = u - 1.0;
        d.eq(0.0).select(self, u.ln() * (self / d))
    }

    fn tanh_shrink(self) -> Self {
        self - self.tanh()
    }

    /// At the low end e^-x overflows to infinity, whose inverse is the right 0.
    fn sigmoid(self) -> Self {
        ((-self).exp() + 1.0).recip()
    }

    fn softplus(self) -> Self {
        self.max(0.0) + (-self.abs()).exp().ln_1p()
    }

    fn normal(self) -> (Self, Self) {
        let probability = (self * FRAC_1_SQRT_2).map(Tensor::erf) * 0.5 + 0.5;
        let density = (self * self * -0.5).exp() * (1.0 / TAU.sqrt());
        (probability, density)
    }

    fn max(self, other: impl Into<Operand<Self>>) -> Self {
        match other.into() {
            Operand::Constant(other) => self.map(move |x| x.maximum(other)),
            Operand::Number(other) => self.map2(other, |x, y| x.maximum(y)),
        }
    }

    fn min(self, other: impl Into<Operand<Self>>) -> Self {
        match other.into() {
            Operand::Constant(other) => self.map(move |x| x.minimum(other)),
            Operand::Number(other) => self.map2(other, |x, y| x.minimum(y)),
        }
    }

    comparisons! {
        gt Gt;
        ge Ge;
        lt Lt;
        le Le;
        eq Eq;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn constants_and_numbers_are_selected_in_the_type_of_the_input() {
        for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
            let x = Tensor::new(&[-2f64, 0.5, 3.0], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let values = |y: Result<Tensor>| {
                let y = y.unwrap();
                assert_eq!(y.dtype(), dtype);
                y.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap()
            };
            let y = compute([&x], |[x]| x.gt(0.0).select(x, 7.0));
            assert_eq!(values(y), [7.0, 0.5, 3.0]);
            let y = compute([&x], |[x]| x.lt(x.abs()).select(4.0, -x));
            assert_eq!(values(y), [4.0, -0.5, -3.0]);
            let y = compute([&x], |[x]| x.le(0.5).select(2.0, 0.0) + x.ge(0.5).select(0.0, 16.0));
            assert_eq!(values(y), [18.0, 2.0, 0.0]);
            assert_eq!(values(compute([&x], |[x]| x)), [-2.0, 0.5, 3.0]);
        }
    }

    #[test]
    fn only_steps_that_matter_run_and_their_errors_are_returned() {
        let (x, y) = (Tensor::new(&[1f32, 2.0], &Device::Cpu), Tensor::new(&[1f32], &Device::Cpu));
        let (x, y) = (x.unwrap(), y.unwrap());
        assert!(compute([&x, &y], |[x, y]| x * (x + y)).is_err());
        let result = compute([&x, &y], |[x, y]| {
            let _ = x + y;
            x * x
        });
        assert_eq!(result.unwrap().to_vec1::<f32>().unwrap(), [1.0, 4.0]);
    }
}
