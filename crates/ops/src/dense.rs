//! Dense: `y = f(x w + b)`, as one operation.
//!
//! Shapes: x `[.., in]`, w `[in, units]`, b `[units]`, y `[.., units]`.

use crate::activations::Activation;
use crate::op::{Input, Operation};
use candle_core::{DType, Result, Shape, Tensor, bail};
use sconce_core::GradientSlot;
use sconce_core::weight::Weight;
use sconce_kernels::with_slice;
use sconce_kernels::{Matrix, for_chunks, product, vectorized, with_slice_mut};
use std::sync::Arc;

/// `f(x kernel + bias)`. On the CPU in f32, an activation that fuses runs inside.
pub fn dense(
    x: &Tensor,
    kernel: Weight<'_>,
    bias: Option<Weight<'_>>,
    activation: &Arc<dyn Activation>,
) -> Result<Tensor> {
    let fuse = activation.fuses() && x.device().is_cpu() && x.dtype() == DType::F32;
    let operation = Dense {
        activation: fuse.then(|| activation.clone()),
        kernel_slot: kernel.slot.cloned(),
        bias_slot: bias.and_then(|b| b.slot.cloned()),
    };
    let y = match bias {
        Some(bias) => operation.apply(&[x, kernel.tensor, bias.tensor])?,
        None => operation.apply(&[x, kernel.tensor])?,
    };
    if fuse { Ok(y) } else { activation.call(&y) }
}

/// The operation; inputs x, kernel and, if there is one, bias.
pub struct Dense {
    /// Runs on the result, in the fused form only.
    activation: Option<Arc<dyn Activation>>,
    kernel_slot: Option<Arc<GradientSlot>>,
    bias_slot: Option<Arc<GradientSlot>>,
}

impl Dense {
    /// Without activation and gradient slots.
    pub fn plain() -> Self {
        Self { activation: None, kernel_slot: None, bias_slot: None }
    }
}

/// (rows, in, units) of the flattened product, and the shape of the result.
fn sizes(x: &[usize], w: &[usize]) -> Result<(usize, usize, usize, Shape)> {
    match (x.split_last(), w) {
        (Some((last, front)), [inner, units]) if last == inner => {
            let shape: Vec<usize> = front.iter().copied().chain([*units]).collect();
            Ok((front.iter().product(), *inner, *units, Shape::from(shape)))
        }
        _ => bail!(
            "dense: an input of shape {x:?} does not fit a kernel of shape {w:?} ([in, units])"
        ),
    }
}

const MISFIT: &str = "dense: shapes do not fit";

impl Operation for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let (x, w) = (inputs[0], inputs[1]);
        let (rows, inner, _, shape) = sizes(x.dims(), w.dims())?;
        let y = x.reshape((rows, inner))?.matmul(w)?;
        let y = match inputs.get(2) {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        y.reshape(shape)
    }

    fn backward(
        &self,
        inputs: &[&Tensor],
        _y: &Tensor,
        dy: &Tensor,
        needs: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let (x, w) = (inputs[0], inputs[1]);
        let (rows, inner, units, _) = sizes(x.dims(), w.dims())?;
        let dy = dy.reshape((rows, units))?;
        let dx = if needs[0] {
            Some(dy.matmul(&w.t()?.contiguous()?)?.reshape(x.shape())?)
        } else {
            None
        };
        let dw = if needs[1] {
            Some(x.reshape((rows, inner))?.t()?.contiguous()?.matmul(&dy)?)
        } else {
            None
        };
        let mut out = vec![dx, dw];
        if needs.len() > 2 {
            out.push(if needs[2] { Some(dy.sum(0)?) } else { None });
        }
        Ok(out)
    }

    fn has_kernel(&self) -> bool {
        true
    }

    fn fused_forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Shape)> {
        let (x, w) = (inputs[0], inputs[1]);
        let (rows, inner, units, shape) = sizes(x.dims, w.dims)?;
        let mut y = match inputs.get(2) {
            Some(bias) if bias.data.len() == units => bias.data.repeat(rows),
            Some(bias) => {
                bail!("dense: a bias of shape {:?} does not fit {units} units", bias.dims)
            }
            None => vec![0.0; rows * units],
        };
        let fits = match (Matrix::new(x.data, rows, inner), Matrix::new(w.data, inner, units)) {
            (Some(x), Some(w)) => product(&mut y, x, w, true),
            _ => false,
        };
        if !fits {
            bail!("{MISFIT}")
        }
        if let Some(activation) = &self.activation {
            activation.map_in_place(&mut y);
        }
        Ok((y, shape))
    }

    fn fused_backward(
        &self,
        inputs: &[&Tensor],
        y: &Tensor,
        dy: &Tensor,
        needs: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let (x, w) = (inputs[0], inputs[1]);
        let (rows, inner, units, _) = sizes(x.dims(), w.dims())?;
        // dz: the gradient before the activation.
        let chained;
        let dz = match &self.activation {
            Some(activation) => {
                let mut dz = with_slice(dy, |dy| Ok(dy.to_vec()))?;
                with_slice(y, |y| {
                    activation.chain_in_place(y, &mut dz);
                    Ok(())
                })?;
                chained = Tensor::from_vec(dz, y.shape(), y.device())?;
                &chained
            }
            None => dy,
        };
        with_slice(dz, |dz| {
            let Some(dz_matrix) = Matrix::new(dz, rows, units) else { bail!("{MISFIT}") };
            let mut gradients = vec![None, None];
            if needs[1] {
                gradients[1] = into_slot(&self.kernel_slot, w, |dw, accumulate| {
                    with_slice(x, |x| match Matrix::new(x, rows, inner) {
                        Some(x) if product(dw, x.t(), dz_matrix, accumulate) => Ok(()),
                        _ => bail!("{MISFIT}"),
                    })
                })?;
            }
            if let (Some(true), Some(bias)) = (needs.get(2), inputs.get(2)) {
                gradients.push(into_slot(&self.bias_slot, bias, |db, accumulate| {
                    column_sums(db, dz, accumulate);
                    Ok(())
                })?);
            } else if needs.len() > 2 {
                gradients.push(None);
            }
            if needs[0] {
                let mut dx = vec![0.0; rows * inner];
                let fits = with_slice(w, |w| {
                    let w = Matrix::new(w, inner, units);
                    Ok(w.is_some_and(|w| product(&mut dx, dz_matrix, w.t(), false)))
                })?;
                if !fits {
                    bail!("{MISFIT}")
                }
                gradients[0] = Some(Tensor::from_vec(dx, x.shape(), x.device())?);
            }
            Ok(gradients)
        })
    }
}

/// Runs `write(gradient, accumulate)` on a weight's persistent buffer and returns `None`, or, without
/// a slot, on a fresh zeroed buffer and returns it.
pub fn into_slot(
    slot: &Option<Arc<GradientSlot>>,
    like: &Tensor,
    mut write: impl FnMut(&mut [f32], bool) -> Result<()>,
) -> Result<Option<Tensor>> {
    match slot {
        Some(slot) => {
            slot.write(like, |buffer, accumulate| {
                with_slice_mut(buffer, |buffer| write(buffer, accumulate))
            })?;
            Ok(None)
        }
        None => {
            let mut fresh = vec![0.0; like.elem_count()];
            write(&mut fresh, false)?;
            Ok(Some(Tensor::from_vec(fresh, like.shape(), like.device())?))
        }
    }
}

/// `out[j] (+)= sum_i values[i, j]`, in chunks of columns so that the order of each sum is fixed.
fn column_sums(out: &mut [f32], values: &[f32], accumulate: bool) {
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
    use crate::gradient_check::{check_operation, sample};

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
}
