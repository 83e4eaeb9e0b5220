//! Arithmetic of two tensors, element by element, with NumPy's broadcasting: axes are compared from the
//! last one on, and each must be equal, 1 or missing.

use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{DType, Device, Result, Shape, Tensor};
use sconce_core::tape::Pass;
use sconce_kernels::{map, map2, map3, with_slice};

/// An operator between two tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `a + b`
    Add,
    /// `a - b`
    Subtract,
    /// `a b`
    Multiply,
    /// `a / b`
    Divide,
}

/// `a (operator) b`, differentiable in both.
pub fn arithmetic(operator: Operator, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Arithmetic { operator, one_shape: a.dims() == b.dims() }.apply(&[a, b])
}

/// A new vector from two.
type Pairwise<'a> = dyn Fn(&[f32], &[f32]) -> Vec<f32> + 'a;

/// The operation.
struct Arithmetic {
    operator: Operator,
    /// Whether nothing is broadcast.
    one_shape: bool,
}

impl Operation for Arithmetic {
    type Saved = ();

    fn name(&self) -> &'static str {
        match self.operator {
            Operator::Add => "add",
            Operator::Subtract => "subtract",
            Operator::Multiply => "multiply",
            Operator::Divide => "divide",
        }
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let (a, b) = (inputs[0], inputs[1]);
        one(match self.operator {
            Operator::Add => a.broadcast_add(b),
            Operator::Subtract => a.broadcast_sub(b),
            Operator::Multiply => a.broadcast_mul(b),
            Operator::Divide => a.broadcast_div(b),
        })
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let (a, b, dy) = (pass.input(0), pass.input(1), pass.dy()?);
        if pass.needs(0) {
            let da = match self.operator {
                Operator::Add | Operator::Subtract => dy.clone(),
                Operator::Multiply => dy.broadcast_mul(b)?,
                Operator::Divide => dy.broadcast_div(b)?,
            };
            pass.give(0, sum_to(&da, a.shape())?)?;
        }
        if pass.needs(1) {
            let db = match self.operator {
                Operator::Add => dy.clone(),
                Operator::Subtract => dy.neg()?,
                Operator::Multiply => dy.broadcast_mul(a)?,
                Operator::Divide => (dy * pass.output(0))?.broadcast_div(b)?.neg()?,
            };
            pass.give(1, sum_to(&db, b.shape())?)?;
        }
        Ok(())
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        (self.one_shape && is_cpu_f32(device, dtype)).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for Arithmetic {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let (a, b) = (inputs[0].data, inputs[1].data);
        let y = match self.operator {
            Operator::Add => map2(a, b, |a, b| a + b),
            Operator::Subtract => map2(a, b, |a, b| a - b),
            Operator::Multiply => map2(a, b, |a, b| a * b),
            Operator::Divide => map2(a, b, |a, b| a / b),
        };
        Ok((vec![(y, Shape::from(inputs[0].dims))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let (a, b, dy) = (pass.input(0), pass.input(1), pass.dy()?);
        let with = |x: &Tensor, f: &Pairwise<'_>| {
            let values = with_slice(dy, |dy| with_slice(x, |x| Ok(f(dy, x))))?;
            Tensor::from_vec(values, dy.shape(), dy.device())
        };
        if pass.needs(0) {
            let da = match self.operator {
                Operator::Add | Operator::Subtract => dy.clone(),
                Operator::Multiply => with(b, &|dy, b| map2(dy, b, |dy, b| dy * b))?,
                Operator::Divide => with(b, &|dy, b| map2(dy, b, |dy, b| dy / b))?,
            };
            pass.give(0, da)?;
        }
        if pass.needs(1) {
            let db = match self.operator {
                Operator::Add => dy.clone(),
                Operator::Subtract => with(dy, &|dy, _| map(dy, |dy| -dy))?,
                Operator::Multiply => with(a, &|dy, a| map2(dy, a, |dy, a| dy * a))?,
                Operator::Divide => with_slice(pass.output(0), |y| {
                    with(b, &|dy, b| map3(dy, y, b, |dy, y, b| -(dy * y) / b))
                })?,
            };
            pass.give(1, db)?;
        }
        Ok(())
    }
}

/// The sum over the axes that broadcasting added or stretched: the gradient of a tensor of this shape.
pub fn sum_to(gradient: &Tensor, shape: &Shape) -> Result<Tensor> {
    let mut gradient = gradient.clone();
    while gradient.rank() > shape.rank() {
        gradient = gradient.sum(0)?;
    }
    for (axis, length) in shape.dims().iter().enumerate() {
        if *length == 1 && gradient.dim(axis)? != 1 {
            gradient = gradient.sum_keepdim(axis)?;
        }
    }
    Ok(gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check_operation, sample};

    #[test]
    fn gradients_and_forms_agree() {
        let shapes: [(&[usize], &[usize]); 6] = [
            (&[2, 3], &[2, 3]),
            (&[2, 3], &[3]),
            (&[2, 1, 3], &[4, 1]),
            (&[1], &[2, 2]),
            (&[], &[2]),
            (&[2, 3], &[]),
        ];
        for operator in [Operator::Add, Operator::Subtract, Operator::Multiply, Operator::Divide] {
            for (a, b) in shapes {
                let make = || Arithmetic { operator, one_shape: a == b };
                // Away from 0, which is no divisor.
                let b = (sample("b", b).unwrap() * 0.2).unwrap().affine(1.0, 1.5).unwrap();
                check_operation(make, &[sample("a", a).unwrap(), b]).unwrap();
            }
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let a = sample("a", &[2, 3]).unwrap();
        assert!(arithmetic(Operator::Add, &a, &sample("b", &[2]).unwrap()).is_err());
    }
}
