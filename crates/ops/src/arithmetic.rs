//! Arithmetic of two tensors, element by element, with NumPy's broadcasting: axes are compared from the
//! last one on, and each must be equal, 1 or missing.

use crate::activations::Activation;
use crate::dense::column_sums;
use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{DType, Device, Result, Shape, Tensor};
use sconce_core::tape::Pass;
use sconce_kernels::{CHUNK, copy_parts, map, map2, map3, vectorized, with_slice, with_slices};
use std::sync::Arc;

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
    /// The larger of both. Where they are equal, each gets half of the gradient.
    Maximum,
    /// The smaller of both. Where they are equal, each gets half of the gradient.
    Minimum,
    /// `a^b`. Of a negative `a` it is defined for whole `b`, and has no gradient in `b`.
    Power,
}

/// `a (operator) b`, differentiable in both.
pub fn arithmetic(operator: Operator, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Arithmetic::new(operator, a, b).apply(&[a, b])
}

/// `f(a + b)`, differentiable in both.
pub fn activated_sum(a: &Tensor, b: &Tensor, activation: &Arc<dyn Activation>) -> Result<Tensor> {
    let sum = Arithmetic::new(Operator::Add, a, b);
    let fuses = activation.fuses() && sum.kernel(a.device(), a.dtype()).is_some();
    if !fuses || a.dtype() != b.dtype() {
        return activation.call(&sum.apply(&[a, b])?);
    }
    Arithmetic { activation: Some(activation.clone()), ..sum }.apply(&[a, b])
}

/// A new vector from two.
type Pairwise<'a> = dyn Fn(&[f32], &[f32]) -> Vec<f32> + 'a;

/// The operation.
struct Arithmetic {
    operator: Operator,
    /// Whether nothing is broadcast.
    one_shape: bool,
    /// Of a sum, in the fused form only.
    activation: Option<Arc<dyn Activation>>,
}

impl Arithmetic {
    fn new(operator: Operator, a: &Tensor, b: &Tensor) -> Self {
        Self { operator, one_shape: a.dims() == b.dims(), activation: None }
    }
}

impl Operation for Arithmetic {
    type Saved = ();

    fn name(&self) -> &'static str {
        match self.operator {
            Operator::Add => "add",
            Operator::Subtract => "subtract",
            Operator::Multiply => "multiply",
            Operator::Divide => "divide",
            Operator::Maximum => "maximum",
            Operator::Minimum => "minimum",
            Operator::Power => "power",
        }
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let (a, b) = (inputs[0], inputs[1]);
        one(match self.operator {
            Operator::Add => a.broadcast_add(b),
            Operator::Subtract => a.broadcast_sub(b),
            Operator::Multiply => a.broadcast_mul(b),
            Operator::Divide => a.broadcast_div(b),
            Operator::Maximum => a.broadcast_maximum(b),
            Operator::Minimum => a.broadcast_minimum(b),
            Operator::Power => power(a, b),
        })
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let (a, b, dy) = (pass.input(0), pass.input(1), pass.dy()?);
        if pass.needs(0) {
            let da = match self.operator {
                Operator::Add | Operator::Subtract => dy.clone(),
                Operator::Multiply => dy.broadcast_mul(b)?,
                Operator::Divide => dy.broadcast_div(b)?,
                Operator::Maximum | Operator::Minimum => (dy * share(a, b, pass.output(0))?)?,
                Operator::Power => (dy * power(a, &(b - 1.0)?)?)?.broadcast_mul(b)?,
            };
            pass.give(0, sum_to(&da, a.shape())?)?;
        }
        if pass.needs(1) {
            let db = match self.operator {
                Operator::Add => dy.clone(),
                Operator::Subtract => dy.neg()?,
                Operator::Multiply => dy.broadcast_mul(a)?,
                Operator::Divide => (dy * pass.output(0))?.broadcast_div(b)?.neg()?,
                Operator::Maximum | Operator::Minimum => {
                    (dy - (dy * share(a, b, pass.output(0))?)?)?
                }
                Operator::Power => {
                    let log = a.eq(0.0)?.where_cond(&a.zeros_like()?, &a.log()?)?;
                    (dy * pass.output(0))?.broadcast_mul(&log)?
                }
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
        let y = match (self.operator, &self.activation) {
            (_, Some(activation)) => copy_parts(a, CHUNK, |start, y| {
                let b = &b[start..start + y.len()];
                vectorized(
                    #[inline(always)]
                    || y.iter_mut().zip(b).for_each(|(y, b)| *y += b),
                );
                activation.map_in_place(y);
            }),
            (Operator::Add, None) => map2(a, b, |a, b| a + b),
            (Operator::Subtract, None) => map2(a, b, |a, b| a - b),
            (Operator::Multiply, None) => map2(a, b, |a, b| a * b),
            (Operator::Divide, None) => map2(a, b, |a, b| a / b),
            // As candle compares: a NaN on either side is the result.
            (Operator::Maximum, None) => map2(a, b, |a, b| if a > b || a.is_nan() { a } else { b }),
            (Operator::Minimum, None) => map2(a, b, |a, b| if a < b || a.is_nan() { a } else { b }),
            (Operator::Power, None) => map2(a, b, f32::powf),
        };
        Ok((vec![(y, Shape::from(inputs[0].dims))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let (a, b) = (pass.input(0), pass.input(1));
        let dy = &match &self.activation {
            None => pass.dy()?.clone(),
            Some(activation) => chain(activation, pass.output(0), pass.dy()?)?,
        };
        let with = |x: &Tensor, f: &Pairwise<'_>| {
            let values = with_slice(dy, |dy| with_slice(x, |x| Ok(f(dy, x))))?;
            Tensor::from_vec(values, dy.shape(), dy.device())
        };
        // Where `a` is the larger one.
        let chosen = |a: &Tensor, b: &Tensor| {
            with_slice(a, |a| {
                with(b, &|dy, b| {
                    map3(dy, a, b, |dy, a, b| {
                        let ties = if a == b { 0.5 } else { 0.0 };
                        dy * if a > b { 1.0 } else { ties }
                    })
                })
            })
        };
        if pass.needs(0) {
            let da = match self.operator {
                Operator::Add | Operator::Subtract => dy.clone(),
                Operator::Multiply => with(b, &|dy, b| map2(dy, b, |dy, b| dy * b))?,
                Operator::Divide => with(b, &|dy, b| map2(dy, b, |dy, b| dy / b))?,
                Operator::Maximum => chosen(a, b)?,
                Operator::Minimum => chosen(b, a)?,
                Operator::Power => with_slice(a, |a| {
                    with(b, &|dy, b| map3(dy, a, b, |dy, a, b| dy * b * a.powf(b - 1.0)))
                })?,
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
                Operator::Maximum => chosen(b, a)?,
                Operator::Minimum => chosen(a, b)?,
                Operator::Power => with_slice(pass.output(0), |y| {
                    with(a, &|dy, a| map3(dy, y, a, |dy, y, a| dy * y * log_or_zero(a)))
                })?,
            };
            pass.give(1, db)?;
        }
        Ok(())
    }
}

/// The gradient before an activation, from its results.
fn chain(activation: &Arc<dyn Activation>, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let dz = with_slices([y, dy], |[y, dy]| {
        Ok(copy_parts(dy, CHUNK, |start, dz| {
            activation.chain_in_place(&y[start..start + dz.len()], dz);
        }))
    })?;
    Tensor::from_vec(dz, dy.shape(), dy.device())
}

/// The share of the larger (smaller) one's gradient that goes to `a`, given the result and `b`: all of
/// it where it is `a`, half where both are.
fn share(a: &Tensor, b: &Tensor, y: &Tensor) -> Result<Tensor> {
    let is = |t: &Tensor| t.broadcast_as(y.shape())?.eq(y)?.to_dtype(y.dtype());
    (is(a)? - is(b)?)?.affine(0.5, 0.5)
}

/// `a^b` of tensors. For a < 0 the sign is that of whole exponents; others give NaN.
fn power(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let size = a.abs()?.log()?.broadcast_mul(b)?.exp()?;
    let (a, b) = (a.broadcast_as(size.shape())?, b.broadcast_as(size.shape())?);
    let one = size.ones_like()?;
    // 0 ln(0) is no number.
    let size = b.eq(0.0)?.where_cond(&one, &size)?;
    let half = (&b * 0.5)?;
    let odd = half.floor()?.ne(&half)?;
    let signed = odd.where_cond(&size.neg()?, &size)?;
    let signed = b.floor()?.eq(&b)?.where_cond(&signed, &(one * f64::NAN)?)?;
    a.lt(0.0)?.where_cond(&signed, &size)
}

/// `ln(a)`, and 0 for a = 0, where JAX gives `a^b` no slope in b.
fn log_or_zero(a: f32) -> f32 {
    if a == 0.0 { 0.0 } else { a.ln() }
}

/// The sum over the axes that broadcasting added or stretched: the gradient of a tensor of this shape.
pub fn sum_to(gradient: &Tensor, shape: &Shape) -> Result<Tensor> {
    let kept = gradient.rank().saturating_sub(shape.rank());
    if gradient.dims().get(kept..) == Some(shape.dims())
        && kept > 0
        && gradient.is_contiguous()
        && is_cpu_f32(gradient.device(), gradient.dtype())
    {
        let mut sums = vec![0f32; shape.elem_count()];
        with_slice(gradient, |values| {
            column_sums(&mut sums, values, false);
            Ok(())
        })?;
        return Tensor::from_vec(sums, shape, gradient.device());
    }
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
    use crate::activations::{Gelu, Relu};
    use crate::gradient_check::{check_forms, check_operation, sample};

    #[test]
    fn an_activation_of_a_sum_agrees_with_one_after_it() {
        for activation in
            [Arc::new(Relu::default()) as Arc<dyn Activation>, Arc::new(Gelu::default())]
        {
            for (a, b) in [(&[2, 3][..], &[2, 3][..]), (&[2, 3], &[3]), (&[0, 3], &[0, 3])] {
                let after =
                    |x: &[&Tensor]| activation.call(&arithmetic(Operator::Add, x[0], x[1])?);
                let inputs = [sample("a", a).unwrap(), sample("b", b).unwrap()];
                let inside = |x: &[&Tensor]| activated_sum(x[0], x[1], &activation);
                check_forms(inside, after, &inputs).unwrap();
            }
        }
    }

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
        let operators = [
            Operator::Add,
            Operator::Subtract,
            Operator::Multiply,
            Operator::Divide,
            Operator::Maximum,
            Operator::Minimum,
        ];
        for operator in operators {
            for (a, b) in shapes {
                let make = || Arithmetic { operator, one_shape: a == b, activation: None };
                // Away from 0, which is no divisor.
                let b = (sample("b", b).unwrap() * 0.2).unwrap().affine(1.0, 1.5).unwrap();
                check_operation(make, &[sample("a", a).unwrap(), b]).unwrap();
            }
        }
    }

    #[test]
    fn powers_have_gradients_in_base_and_exponent() {
        for (a, b) in [(&[2, 3][..], &[2, 3][..]), (&[2, 3], &[3]), (&[], &[2])] {
            let make =
                || Arithmetic { operator: Operator::Power, one_shape: a == b, activation: None };
            let a = sample("a", a).unwrap().affine(0.2, 1.0).unwrap();
            check_operation(make, &[a, sample("b", b).unwrap()]).unwrap();
        }
    }

    #[test]
    fn powers_of_negative_numbers_and_zero() {
        let a = Tensor::new(&[-2f64, -2.0, -2.0, 0.0, 0.0, 0.0], &Device::Cpu).unwrap();
        let b = Tensor::new(&[3f64, -2.0, 0.5, 0.0, 2.0, -1.0], &Device::Cpu).unwrap();
        for dtype in [DType::F32, DType::F64] {
            let [a, b] = [&a, &b].map(|t| t.to_dtype(dtype).unwrap());
            let y = arithmetic(Operator::Power, &a, &b).unwrap().to_dtype(DType::F64).unwrap();
            let y = y.to_vec1::<f64>().unwrap();
            for (y, expected) in y.iter().zip([-8.0, 0.25, f64::NAN, 1.0, 0.0, f64::INFINITY]) {
                let near = (y - expected).abs() < 1e-6 || *y == expected;
                assert!(near || y.is_nan() && expected.is_nan(), "{y} {expected} in {dtype:?}");
            }
        }
    }

    #[test]
    fn equal_values_share_the_gradient() {
        let x = |dtype| Tensor::new(&[1f64, 2.0, 3.0], &Device::Cpu)?.to_dtype(dtype);
        let y = |dtype| Tensor::new(&[2f64, 2.0, 2.0], &Device::Cpu)?.to_dtype(dtype);
        for (operator, expected) in
            [(Operator::Maximum, [0.0, 0.5, 1.0]), (Operator::Minimum, [1.0, 0.5, 0.0])]
        {
            for dtype in [DType::F32, DType::F64] {
                let x = candle_core::Var::from_tensor(&x(dtype).unwrap()).unwrap();
                let (sum, tape) =
                    sconce_core::Tape::record(|| arithmetic(operator, &x, &y(dtype)?)?.sum_all());
                let mut sink = sconce_core::GradientSink::new([x.as_tensor()]);
                tape.backward(&sum.unwrap(), &mut sink).unwrap();
                let gradient = sink.take(&x).unwrap().to_dtype(DType::F64).unwrap();
                assert_eq!(gradient.to_vec1::<f64>().unwrap(), expected, "{operator:?}");
            }
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let a = sample("a", &[2, 3]).unwrap();
        assert!(arithmetic(Operator::Add, &a, &sample("b", &[2]).unwrap()).is_err());
    }
}
