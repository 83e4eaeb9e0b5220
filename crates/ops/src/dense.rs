//! Dense: `y = f(x w + b)`, as one operation.
//!
//! Shapes: x `[.., in]`, w `[in, units]`, b `[units]`, y `[.., units]`.

use crate::activations::Activation;
use crate::epilogue::{Epilogue, Finish};
use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::{Matrix, for_chunks, map, product, product_rows, vectorized, with_slice};
use std::sync::Arc;

/// `f(x kernel + bias)`. On the CPU in f32, an activation that fuses runs inside.
pub fn dense(
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    activation: &Arc<dyn Activation>,
) -> Result<Tensor> {
    dense_with(x, kernel, &Epilogue::new(bias, activation))
}

/// As [`dense`], with factors for the units.
pub(crate) fn dense_with(x: &Tensor, kernel: &Tensor, epilogue: &Epilogue<'_>) -> Result<Tensor> {
    let fuse = epilogue.activation.fuses() && is_cpu_f32(x.device(), x.dtype());
    let operation = Dense { finish: Finish::of(epilogue, fuse) };
    let y = match epilogue.bias {
        Some(bias) => operation.apply(&[x, kernel, bias])?,
        None => operation.apply(&[x, kernel])?,
    };
    if fuse { Ok(y) } else { epilogue.activation.call(&y) }
}

/// The operation; inputs x, kernel and, if there is one, bias.
pub struct Dense {
    finish: Finish,
}

impl Dense {
    /// Without activation.
    pub fn plain() -> Self {
        Self { finish: Finish::default() }
    }
}

/// (rows, in, units) of the flattened product.
fn sizes(x: &[usize], w: &[usize]) -> Result<(usize, usize, usize)> {
    match (x.split_last(), w) {
        (Some((last, front)), [inner, units]) if last == inner => {
            Ok((front.iter().product(), *inner, *units))
        }
        _ => bail!(
            "dense: an input of shape {x:?} does not fit a kernel of shape {w:?} ([in, units])"
        ),
    }
}

/// The shape of the result.
fn shape(x: &[usize], units: usize) -> Shape {
    let mut shape = x.to_vec();
    if let Some(last) = shape.last_mut() {
        *last = units;
    }
    Shape::from(shape)
}

const MISFIT: &str = "dense: shapes do not fit";

impl Operation for Dense {
    type Saved = ();

    fn name(&self) -> &'static str {
        "dense"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let (x, w) = (inputs[0], inputs[1]);
        let (rows, inner, units) = sizes(x.dims(), w.dims())?;
        let y = x.reshape((rows, inner))?.matmul(w)?;
        let y = self.finish.composed(y, inputs.get(2).copied())?;
        one(y.reshape(shape(x.dims(), units)))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        self.finish.check_differentiated()?;
        let (x, w, dy) = (pass.input(0), pass.input(1), pass.dy()?);
        let (rows, inner, units) = sizes(x.dims(), w.dims())?;
        let dy = dy.reshape((rows, units))?;
        if pass.needs(1) {
            pass.give(1, x.reshape((rows, inner))?.t()?.contiguous()?.matmul(&dy)?)?;
        }
        if pass.input_count() > 2 && pass.needs(2) {
            pass.give(2, dy.sum(0)?)?;
        }
        if pass.needs(0) {
            pass.give(0, dy.matmul(&w.t()?.contiguous()?)?.reshape(x.shape())?)?;
        }
        Ok(())
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for Dense {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let (x, w) = (inputs[0], inputs[1]);
        let (rows, inner, units) = sizes(x.dims, w.dims)?;
        let bias = inputs.get(2).map(|bias| bias.data);
        if let Some(bias) = inputs.get(2).filter(|bias| bias.data.len() != units) {
            bail!("dense: a bias of shape {:?} does not fit {units} units", bias.dims)
        }
        let y = self.finish.with_scale(units, |scale| {
            Ok(match (Matrix::new(x.data, rows, inner), Matrix::new(w.data, inner, units)) {
                (Some(x), Some(w)) => product_rows(x, w, |y| self.finish.run(y, scale, bias)),
                _ => None,
            })
        })?;
        let Some(y) = y else { bail!("{MISFIT}") };
        Ok((vec![(y, shape(x.dims, units))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        self.finish.check_differentiated()?;
        let y = pass.output(0);
        let dy = pass.dy()?;
        let (x, w) = (pass.input(0), pass.input(1));
        let (rows, inner, units) = sizes(x.dims(), w.dims())?;
        with_slice(dy, |dy| {
            // The gradient before the activation.
            let chained;
            let dz = match &self.finish.activation {
                Some(activation) => {
                    let mut dz = map(
                        dy,
                        #[inline(always)]
                        |dy| dy,
                    );
                    with_slice(y, |y| {
                        activation.chain_in_place(y, &mut dz);
                        Ok(())
                    })?;
                    chained = dz;
                    chained.as_slice()
                }
                None => dy,
            };
            let Some(dz_matrix) = Matrix::new(dz, rows, units) else { bail!("{MISFIT}") };
            pass.write(1, |dw, accumulate| {
                with_slice(x, |x| match Matrix::new(x, rows, inner) {
                    Some(x) if product(dw, x.t(), dz_matrix, accumulate) => Ok(()),
                    _ => bail!("{MISFIT}"),
                })
            })?;
            if pass.input_count() > 2 {
                pass.write(2, |db, accumulate| {
                    column_sums(db, dz, accumulate);
                    Ok(())
                })?;
            }
            pass.write(0, |dx, accumulate| {
                with_slice(w, |w| match Matrix::new(w, inner, units) {
                    Some(w) if product(dx, dz_matrix, w.t(), accumulate) => Ok(()),
                    _ => bail!("{MISFIT}"),
                })
            })
        })
    }
}

/// `out[j] (+)= sum_i values[i, j]`, in chunks of columns so that the order of each sum is fixed.
pub(crate) fn column_sums(out: &mut [f32], values: &[f32], accumulate: bool) {
    let columns = out.len();
    if columns == 0 {
        return;
    }
    for_chunks([out], |start, [out]| {
        vectorized(
            #[inline(always)]
            || {
                if !accumulate {
                    out.fill(0.0);
                }
                for row in values.chunks_exact(columns) {
                    let row = &row[start..start + out.len()];
                    out.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
                }
            },
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check, check_forms, check_operation, sample};
    use candle_core::Var;
    use sconce_core::{GradientSink, Tape};

    #[test]
    fn gradients_and_forms_agree() {
        for (front, inner, units) in
            [(vec![4], 3, 5), (vec![2, 3], 4, 1), (vec![1], 1, 1), (vec![], 3, 2)]
        {
            let x: Vec<usize> = front.iter().copied().chain([inner]).collect();
            let x = sample("x", &x).unwrap();
            let w = sample("w", &[inner, units]).unwrap();
            let b = sample("b", &[units]).unwrap();
            check_operation(Dense::plain, &[x.clone(), w.clone(), b]).unwrap();
            check_operation(Dense::plain, &[x, w]).unwrap();
        }
    }

    #[test]
    fn empty_batches_pass() {
        let x = Tensor::zeros((0, 3), DType::F32, &candle_core::Device::Cpu).unwrap();
        let w = Tensor::zeros((3, 2), DType::F32, &candle_core::Device::Cpu).unwrap();
        assert_eq!(Dense::plain().apply(&[&x, &w]).unwrap().dims(), [0, 2]);
    }

    #[test]
    fn misfits_are_errors() {
        let x = Tensor::zeros((2, 4), DType::F32, &candle_core::Device::Cpu).unwrap();
        let w = Tensor::zeros((3, 2), DType::F32, &candle_core::Device::Cpu).unwrap();
        let message = Dense::plain().apply(&[&x, &w]).unwrap_err().to_string();
        assert!(message.contains("[2, 4]") && message.contains("[3, 2]"), "{message}");
    }
    /// The value and the gradients of `sum(f(x, w, b) * g)`.
    fn run(
        f: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>,
        inputs: &[Tensor],
    ) -> Vec<Vec<f32>> {
        let vars: Vec<Var> = inputs.iter().map(|x| Var::from_tensor(x).unwrap()).collect();
        let (y, tape) = Tape::record(|| f(&vars[0], &vars[1], &vars[2]).unwrap());
        let g = sample("g", y.dims()).unwrap().to_dtype(DType::F32).unwrap();
        let mut sink = GradientSink::new(vars.iter().map(Var::as_tensor));
        tape.backward_from(&[(&y, &g)], &mut sink).unwrap();
        let gradients = vars.iter().map(|v| sink.take(v).unwrap());
        let values = |t: Tensor| t.flatten_all().unwrap().to_vec1().unwrap();
        std::iter::once(y.clone()).chain(gradients).map(values).collect()
    }

    /// Rows and columns over more than one chunk of every kernel that takes part.
    #[test]
    fn a_fused_activation_gives_the_bits_of_one_that_follows() {
        let relu: Arc<dyn Activation> = Arc::new(crate::activations::Relu::new());
        let input =
            |name, dims: &[usize]| sample(name, dims).unwrap().to_dtype(DType::F32).unwrap();
        let (rows, units) = (300, 300);
        assert!(rows * units > 2 * sconce_kernels::CHUNK);
        let inputs = [input("x", &[rows, 7]), input("w", &[7, units]), input("b", &[units])];
        let fused = run(|x, w, b| dense(x, w, Some(b), &relu), &inputs);
        let plain = run(|x, w, b| relu.call(&Dense::plain().apply(&[x, w, b])?), &inputs);
        assert!(fused == plain);
        let composed = run(|x, w, b| Dense::plain().apply_composed(&[x, w, b])?.relu(), &inputs);
        for (fused, composed) in fused.iter().zip(&composed) {
            let wrong = fused.iter().zip(composed).find(|(a, b)| (*a - *b).abs() > 1e-3);
            assert!(wrong.is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn weights_used_twice_in_a_pass_get_the_sum() {
        let (x, w, b) = (sample("x", &[3, 2]), sample("w", &[2, 2]), sample("b", &[2]));
        let inputs = [x.unwrap(), w.unwrap(), b.unwrap()];
        let twice = |x: &[&Tensor], composed: bool| {
            let apply = |inputs: &[&Tensor]| match composed {
                true => Dense::plain().apply_composed(inputs),
                false => Dense::plain().apply(inputs),
            };
            apply(&[&apply(x)?, x[1], x[2]])
        };
        check(|x| twice(x, true), &inputs, 1e-6).unwrap();
        check_forms(|x| twice(x, false), |x| twice(x, true), &inputs).unwrap();
    }
}
