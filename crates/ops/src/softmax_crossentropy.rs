//! Softmax and crossentropy as one operation, on logits.
//!
//! Logits `[.., classes]`; result `[..]`, one value a row:
//! `loss = ln(sum_j e^(z_j)) - z_label`, or with a target distribution t:
//! `loss = sum_j t_j (ln(sum_k e^(z_k)) - z_j)`. Its gradient is `softmax(z) sum(t) - t`, so it stays
//! exact where a softmax followed by a logarithm has lost everything.

use crate::activations::softmax_rows;
use crate::kernels::{math, vectorized};
use crate::op::{Input, Operation, with_slice};
use candle_core::{D, DType, Result, Shape, Storage, Tensor, bail};
use std::sync::{Mutex, PoisonError};

/// The classes a row should have.
pub enum Target {
    /// The index of the class, I64 `[..]`.
    Labels(Tensor),
    /// A weight for each class, of the shape and type of the logits.
    Weights(Tensor),
}

/// The operation.
pub struct SoftmaxCrossentropy {
    target: Target,
    /// The probabilities of the fused forward, for its backward.
    probabilities: Mutex<Vec<f32>>,
}

impl SoftmaxCrossentropy {
    /// For a target. Labels outside the classes are an error that names the row.
    pub fn new(target: Target) -> Self {
        Self { target, probabilities: Mutex::default() }
    }

    /// The target as weights, for the composed form.
    fn weights(&self, logits: &Tensor) -> Result<Tensor> {
        match &self.target {
            Target::Weights(weights) => Ok(weights.clone()),
            Target::Labels(labels) => {
                let classes = logits.dim(D::Minus1)?;
                let range = Tensor::arange(0, classes as i64, logits.device())?;
                let labels = labels.unsqueeze(D::Minus1)?;
                labels.broadcast_eq(&range)?.to_dtype(logits.dtype())
            }
        }
    }

    /// Calls `read` with the labels of the rows.
    fn with_labels<T>(labels: &Tensor, read: impl FnOnce(&[i64]) -> Result<T>) -> Result<T> {
        let labels = labels.to_dtype(DType::I64)?.contiguous()?;
        let (storage, layout) = labels.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) => {
                let (start, end) = layout.contiguous_offsets().unwrap_or((0, 0));
                read(storage.as_slice::<i64>()?.get(start..end).unwrap_or(&[]))
            }
            _ => bail!("softmax_crossentropy: the labels are not on the CPU"),
        }
    }
}

impl Operation for SoftmaxCrossentropy {
    fn name(&self) -> &'static str {
        "softmax_crossentropy"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let z = inputs[0];
        let z = z.broadcast_sub(&z.max_keepdim(D::Minus1)?)?;
        let total = z.exp()?.sum_keepdim(D::Minus1)?.log()?;
        (total.broadcast_sub(&z)? * self.weights(&z)?)?.sum(D::Minus1)
    }

    fn backward(
        &self,
        inputs: &[&Tensor],
        _result: &Tensor,
        gradient: &Tensor,
        _needs: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let z = inputs[0];
        let e = z.broadcast_sub(&z.max_keepdim(D::Minus1)?)?.exp()?;
        let p = e.broadcast_div(&e.sum_keepdim(D::Minus1)?)?;
        let t = self.weights(z)?;
        let dz = (p.broadcast_mul(&t.sum_keepdim(D::Minus1)?)? - t)?;
        Ok(vec![Some(dz.broadcast_mul(&gradient.unsqueeze(D::Minus1)?)?)])
    }

    fn has_kernel(&self) -> bool {
        true
    }

    fn fused_forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Shape)> {
        let z = inputs[0];
        let Some((&classes, front)) = z.dims.split_last() else {
            bail!("softmax_crossentropy: logits need an axis of classes")
        };
        if classes == 0 {
            bail!("softmax_crossentropy: there are no classes")
        }
        let mut p = z.data.to_vec();
        softmax_rows(&mut p, classes);
        // loss = sum t (ln(sum e^(z - max)) - (z - max)), from z itself: ln(p) would lose small p.
        let total = |row: &[f32]| {
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            max + math::ln(row.iter().map(|z| math::exp(z - max)).sum())
        };
        let mut losses = Vec::with_capacity(z.data.len() / classes);
        match &self.target {
            Target::Labels(labels) => Self::with_labels(labels, |labels| {
                if labels.len() * classes != z.data.len() {
                    bail!(
                        "softmax_crossentropy: {} labels for {} rows",
                        labels.len(),
                        z.data.len() / classes
                    )
                }
                let rows = z.data.chunks_exact(classes).zip(p.chunks_exact(classes));
                for (row, ((z, p), label)) in rows.zip(labels).enumerate() {
                    let label = usize::try_from(*label).ok().filter(|label| *label < classes);
                    let Some(label) = label else {
                        bail!(
                            "the label {} in row {row} is outside the {classes} classes (0..={})",
                            labels[row],
                            classes - 1
                        )
                    };
                    // Where p is well away from 0 its logarithm is exact enough and already at hand.
                    let loss =
                        if p[label] > 1e-6 { -math::ln(p[label]) } else { total(z) - z[label] };
                    losses.push(loss);
                }
                Ok(())
            })?,
            Target::Weights(weights) => with_slice(weights, |weights| {
                if weights.len() != z.data.len() {
                    bail!(
                        "softmax_crossentropy: {} target values for {} logits",
                        weights.len(),
                        z.data.len()
                    )
                }
                vectorized(
                    #[inline(always)]
                    || {
                        for (z, t) in
                            z.data.chunks_exact(classes).zip(weights.chunks_exact(classes))
                        {
                            let total = total(z);
                            losses.push(z.iter().zip(t).map(|(z, t)| t * (total - z)).sum());
                        }
                    },
                );
                Ok(())
            })?,
        }
        *self.probabilities.lock().unwrap_or_else(PoisonError::into_inner) = p;
        Ok((losses, Shape::from(front)))
    }

    fn fused_backward(
        &self,
        inputs: &[&Tensor],
        _result: &Tensor,
        gradient: &Tensor,
        _needs: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let z = inputs[0];
        let classes = z.dim(D::Minus1)?;
        let mut dz =
            std::mem::take(&mut *self.probabilities.lock().unwrap_or_else(PoisonError::into_inner));
        if dz.len() != z.elem_count() {
            dz = with_slice(z, |z| Ok(z.to_vec()))?;
            softmax_rows(&mut dz, classes);
        }
        with_slice(gradient, |gradient| match &self.target {
            Target::Labels(labels) => Self::with_labels(labels, |labels| {
                let rows = dz.chunks_exact_mut(classes);
                for ((row, label), g) in rows.zip(labels).zip(gradient) {
                    if let Some(p) = usize::try_from(*label).ok().and_then(|l| row.get_mut(l)) {
                        *p -= 1.0;
                    }
                    row.iter_mut().for_each(|p| *p *= g);
                }
                Ok(())
            }),
            Target::Weights(weights) => with_slice(weights, |weights| {
                let rows = dz.chunks_exact_mut(classes);
                for ((row, t), g) in rows.zip(weights.chunks_exact(classes)).zip(gradient) {
                    let sum: f32 = t.iter().sum();
                    for (p, t) in row.iter_mut().zip(t) {
                        *p = (*p * sum - t) * g;
                    }
                }
                Ok(())
            }),
        })?;
        Ok(vec![Some(Tensor::from_vec(dz, z.shape(), z.device())?)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check, check_operation, sample};
    use candle_core::Device;

    fn labels() -> Tensor {
        Tensor::new(&[[2i64, 0], [1, 4], [3, 3]], &Device::Cpu).unwrap()
    }

    #[test]
    fn gradients_and_forms_agree() {
        let z = sample("z", &[3, 2, 5]).unwrap();
        check_operation(
            || SoftmaxCrossentropy::new(Target::Labels(labels())),
            std::slice::from_ref(&z),
        )
        .unwrap();
        let t = sample("t", &[3, 2, 5]).unwrap();
        check(
            |z| SoftmaxCrossentropy::new(Target::Weights(t.clone())).apply_composed(z),
            std::slice::from_ref(&z),
            1e-6,
        )
        .unwrap();
        let (t, z) = (t.to_dtype(DType::F32).unwrap(), z.to_dtype(DType::F32).unwrap());
        let z = candle_core::Var::from_tensor(&z).unwrap();
        let make = || SoftmaxCrossentropy::new(Target::Weights(t.clone()));
        let run = |y: Tensor| {
            let dz = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let dz = dz.get(z.as_tensor()).unwrap().flatten_all().unwrap();
            (y.flatten_all().unwrap().to_vec1::<f32>().unwrap(), dz.to_vec1::<f32>().unwrap())
        };
        let (a, da) = run(make().apply(&[z.as_tensor()]).unwrap());
        let (b, db) = run(make().apply_composed(&[z.as_tensor()]).unwrap());
        assert!(a.iter().zip(&b).chain(da.iter().zip(&db)).all(|(a, b)| (a - b).abs() < 1e-4));
    }

    #[test]
    fn saturated_logits_keep_their_loss() {
        let z = Tensor::new(&[[100f32, -100.0], [-1000.0, 1000.0]], &Device::Cpu).unwrap();
        let labels = Tensor::new(&[1i64, 1], &Device::Cpu).unwrap();
        let loss = SoftmaxCrossentropy::new(Target::Labels(labels)).apply(&[&z]).unwrap();
        assert_eq!(loss.to_vec1::<f32>().unwrap(), [200.0, 0.0]);
    }

    #[test]
    fn labels_outside_the_classes_are_named() {
        let z = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let labels = Tensor::new(&[1i64, 3], &Device::Cpu).unwrap();
        let error = SoftmaxCrossentropy::new(Target::Labels(labels)).apply(&[&z]).unwrap_err();
        assert!(error.to_string().contains("label 3 in row 1"), "{error}");
    }
}
