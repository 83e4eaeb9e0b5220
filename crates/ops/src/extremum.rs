//! The largest or smallest value of each row, with the gradient of Keras on JAX: values that are equally
//! large share it.

use crate::op::{Operation, one};
use candle_core::{D, Result, Tensor};
use sconce_core::tape::Pass;

/// x `[.., n]` to the largest (or smallest) value along the last axis, `[.., 1]`.
pub fn extremum(x: &Tensor, largest: bool) -> Result<Tensor> {
    Extremum { largest }.apply(&[x])
}

struct Extremum {
    largest: bool,
}

impl Operation for Extremum {
    type Saved = ();

    fn name(&self) -> &'static str {
        if self.largest { "max" } else { "min" }
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        one(match self.largest {
            true => inputs[0].max_keepdim(D::Minus1),
            false => inputs[0].min_keepdim(D::Minus1),
        })
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let (x, y) = (pass.input(0), pass.output(0));
        let chosen = x.broadcast_eq(y)?.to_dtype(x.dtype())?;
        let share = pass.dy()?.broadcast_div(&chosen.sum_keepdim(D::Minus1)?)?;
        pass.give(0, chosen.broadcast_mul(&share)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check_operation, sample};
    use candle_core::{Device, Var};

    #[test]
    fn gradients_are_right() {
        for largest in [true, false] {
            for dims in [&[3, 4][..], &[2, 1], &[5]] {
                check_operation(|| Extremum { largest }, &[sample("x", dims).unwrap()]).unwrap();
            }
        }
    }

    #[test]
    fn equal_values_share_the_gradient() {
        let x = Tensor::new(&[[1f64, 3.0, 3.0, 1.0]], &Device::Cpu).unwrap();
        for (largest, expected) in [(true, [0.0, 0.5, 0.5, 0.0]), (false, [0.5, 0.0, 0.0, 0.5])] {
            let x = Var::from_tensor(&x).unwrap();
            let (sum, tape) = sconce_core::Tape::record(|| extremum(&x, largest)?.sum_all());
            let mut sink = sconce_core::GradientSink::new([x.as_tensor()]);
            tape.backward(&sum.unwrap(), &mut sink).unwrap();
            assert_eq!(sink.take(&x).unwrap().to_vec2::<f64>().unwrap(), [expected]);
        }
    }
}
