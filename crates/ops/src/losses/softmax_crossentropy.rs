//! Softmax and crossentropy as one operation, on logits `[.., classes]`; result `[..]`.
//!
//! `loss = ln(sum_j e^(z_j)) - z_label`, or with a target distribution t:
//! `loss = sum_j t_j (ln(sum_k e^(z_k)) - z_j)`. Its gradient is `softmax(z) sum(t) - t`, so it stays
//! exact where a softmax followed by a logarithm has lost everything.

use super::{Target, for_labels};
use crate::activations::softmax_rows;
use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32};
use candle_core::{D, DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::with_slice;
use sconce_kernels::{math, vectorized};

/// The operation.
pub struct SoftmaxCrossentropy {
    target: Target,
}

impl SoftmaxCrossentropy {
    /// For a target. Labels outside the classes are an error that names the row.
    pub fn new(target: Target) -> Self {
        Self { target }
    }
}

impl Operation for SoftmaxCrossentropy {
    /// The probabilities of the fused form.
    type Saved = Vec<f32>;

    fn name(&self) -> &'static str {
        "softmax_crossentropy"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, Vec<f32>)> {
        let z = inputs[0];
        let z = z.broadcast_sub(&z.max_keepdim(D::Minus1)?)?;
        let total = z.exp()?.sum_keepdim(D::Minus1)?.log()?;
        let losses = (total.broadcast_sub(&z)? * self.target.weights(&z)?)?.sum(D::Minus1)?;
        Ok((vec![losses], Vec::new()))
    }

    fn backward(&self, _saved: Vec<f32>, pass: &mut Pass<'_>) -> Result<()> {
        let gradient = pass.dy()?;
        let z = pass.input(0);
        let e = z.broadcast_sub(&z.max_keepdim(D::Minus1)?)?.exp()?;
        let p = e.broadcast_div(&e.sum_keepdim(D::Minus1)?)?;
        let t = self.target.weights(z)?;
        let dz = (p.broadcast_mul(&t.sum_keepdim(D::Minus1)?)? - t)?;
        pass.give(0, dz.broadcast_mul(&gradient.unsqueeze(D::Minus1)?)?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<Vec<f32>>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<Vec<f32>>)
    }
}

impl Kernel<Vec<f32>> for SoftmaxCrossentropy {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, Vec<f32>)> {
        let Input { data: z, dims, .. } = inputs[0];
        let Some((&classes, front)) = dims.split_last().filter(|(classes, _)| **classes > 0) else {
            bail!("softmax_crossentropy: logits need an axis of classes")
        };
        let rows = z.len() / classes;
        let mut p = z.to_vec();
        softmax_rows(&mut p, classes);
        // ln(sum e^z) from z itself: ln(p) would lose small p.
        let total = |row: &[f32]| {
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            max + math::ln(row.iter().map(|z| math::exp(z - max)).sum())
        };
        let mut losses = Vec::with_capacity(rows);
        match &self.target {
            Target::Labels { labels, ignored } => {
                for_labels(labels, *ignored, (rows, classes), |row, label| {
                    let Some(label) = label else { return losses.push(0.0) };
                    let at = row * classes + label;
                    // Where p is well away from 0 its logarithm is exact enough and already at hand.
                    losses.push(match p[at] {
                        p if p > 1e-6 => -math::ln(p),
                        _ => total(&z[row * classes..(row + 1) * classes]) - z[at],
                    });
                })?;
            }
            Target::Weights(weights) => with_slice(&weights.to_dtype(DType::F32)?, |t| {
                if t.len() != z.len() {
                    bail!("softmax_crossentropy: {} targets for {} logits", t.len(), z.len())
                }
                vectorized(
                    #[inline(always)]
                    || {
                        for (z, t) in z.chunks_exact(classes).zip(t.chunks_exact(classes)) {
                            let total = total(z);
                            losses.push(z.iter().zip(t).map(|(z, t)| t * (total - z)).sum());
                        }
                    },
                );
                Ok(())
            })?,
        }
        Ok((vec![(losses, Shape::from(front))], p))
    }

    fn backward(&self, saved: Vec<f32>, pass: &mut Pass<'_>) -> Result<()> {
        let gradient = pass.dy()?;
        let z = pass.input(0);
        let classes = z.dim(D::Minus1)?;
        let mut dz = saved;
        let rows = dz.len() / classes.max(1);
        with_slice(gradient, |gradient| match &self.target {
            Target::Labels { labels, ignored } => {
                for_labels(labels, *ignored, (rows, classes), |row, label| {
                    let dz = &mut dz[row * classes..(row + 1) * classes];
                    let Some(label) = label else { return dz.fill(0.0) };
                    dz[label] -= 1.0;
                    let g = gradient[row];
                    dz.iter_mut().for_each(|p| *p *= g);
                })
            }
            Target::Weights(weights) => with_slice(&weights.to_dtype(DType::F32)?, |t| {
                let rows = dz.chunks_exact_mut(classes).zip(t.chunks_exact(classes));
                for ((row, t), g) in rows.zip(gradient) {
                    let sum: f32 = t.iter().sum();
                    for (p, t) in row.iter_mut().zip(t) {
                        *p = (*p * sum - t) * g;
                    }
                }
                Ok(())
            }),
        })?;
        pass.give(0, Tensor::from_vec(dz, z.shape(), z.device())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn saturated_logits_keep_their_loss() {
        let z = Tensor::new(&[[100f32, -100.0], [-1000.0, 1000.0]], &Device::Cpu).unwrap();
        let labels = Tensor::new(&[1i64, 1], &Device::Cpu).unwrap();
        let loss = SoftmaxCrossentropy::new(Target::labels(labels)).apply(&[&z]).unwrap();
        assert_eq!(loss.to_vec1::<f32>().unwrap(), [200.0, 0.0]);
    }
}
