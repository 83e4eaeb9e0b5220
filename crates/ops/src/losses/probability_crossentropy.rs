//! Crossentropy on probabilities `[.., classes]`; result `[..]`, one value a row.
//!
//! As Keras: a row is divided by its sum, kept in `EPSILON..1 - EPSILON`, and then
//! `loss = -sum_j t_j ln(q_j)`. Beyond those limits the slope is 0.

use super::{EPSILON, Target, for_labels};
use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{D, DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::with_slice;
use sconce_kernels::{math, vectorized};

const LOW: f32 = EPSILON as f32;
const HIGH: f32 = (1.0 - EPSILON) as f32;

/// The operation.
pub struct ProbabilityCrossentropy {
    target: Target,
}

impl ProbabilityCrossentropy {
    /// For a target. Labels outside the classes are an error that names the row.
    pub fn new(target: Target) -> Self {
        Self { target }
    }
}

impl Operation for ProbabilityCrossentropy {
    type Saved = ();

    fn name(&self) -> &'static str {
        "crossentropy"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let p = inputs[0];
        let q = p.broadcast_div(&probability_sums(p)?)?.clamp(EPSILON, 1.0 - EPSILON)?;
        one((q.log()? * self.target.weights(p)?)?.sum(D::Minus1)?.neg())
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let gradient = pass.dy()?;
        let p = pass.input(0);
        let sum = probability_sums(p)?;
        let q = p.broadcast_div(&sum)?;
        let kept = q.clamp(EPSILON, 1.0 - EPSILON)?;
        let inside = kept.eq(&q)?.to_dtype(q.dtype())?;
        let dq = ((self.target.weights(p)? / kept)? * inside)?.neg()?;
        let inner = (&dq * &q)?.sum_keepdim(D::Minus1)?;
        let dp = dq.broadcast_sub(&inner)?.broadcast_div(&sum)?;
        pass.give(0, dp.broadcast_mul(&gradient.unsqueeze(D::Minus1)?)?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

/// What probabilities are divided by: their sum, or 1 where they are all zeros (Keras has not-a-numbers there).
pub fn probability_sums(p: &Tensor) -> Result<Tensor> {
    let sum = p.sum_keepdim(D::Minus1)?;
    let none = sum.detach().eq(&sum.zeros_like()?)?.to_dtype(sum.dtype())?;
    sum + none
}

/// As [`probability_sums`], of a row.
#[inline(always)]
fn sum_of(p: &[f32]) -> f32 {
    let sum: f32 = p.iter().sum();
    if sum == 0.0 { 1.0 } else { sum }
}

impl Kernel<()> for ProbabilityCrossentropy {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let Input { data: p, dims, .. } = inputs[0];
        let Some((&classes, front)) = dims.split_last().filter(|(classes, _)| **classes > 0) else {
            bail!("crossentropy: predictions need an axis of classes")
        };
        let rows = p.len() / classes;
        let mut losses = Vec::with_capacity(rows);
        match &self.target {
            Target::Labels { labels, ignored } => {
                for_labels(labels, *ignored, (rows, classes), |row, label| {
                    let p = &p[row * classes..(row + 1) * classes];
                    let loss = |label: usize| -math::ln((p[label] / sum_of(p)).clamp(LOW, HIGH));
                    losses.push(label.map_or(0.0, loss));
                })?;
            }
            Target::Weights(weights) => with_slice(&weights.to_dtype(DType::F32)?, |t| {
                if t.len() != p.len() {
                    bail!("crossentropy: {} target values for {} predictions", t.len(), p.len())
                }
                vectorized(
                    #[inline(always)]
                    || {
                        for (p, t) in p.chunks_exact(classes).zip(t.chunks_exact(classes)) {
                            let sum = sum_of(p);
                            let log = |p: f32| math::ln((p / sum).clamp(LOW, HIGH));
                            losses.push(-p.iter().zip(t).map(|(p, t)| t * log(*p)).sum::<f32>());
                        }
                    },
                );
                Ok(())
            })?,
        }
        Ok((vec![(losses, Shape::from(front))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let gradient = pass.dy()?;
        let classes = pass.input(0).dim(D::Minus1)?;
        let mut dp = vec![0f32; pass.input(0).elem_count()];
        let rows = dp.len() / classes.max(1);
        with_slice(pass.input(0), |p| {
            with_slice(gradient, |gradient| match &self.target {
                Target::Labels { labels, ignored } => {
                    for_labels(labels, *ignored, (rows, classes), |row, label| {
                        let Some(label) = label else { return };
                        let range = row * classes..(row + 1) * classes;
                        let sum = sum_of(&p[range.clone()]);
                        let q = p[range.start + label] / sum;
                        if (LOW..=HIGH).contains(&q) {
                            let dq = -gradient[row] / q;
                            let dp = &mut dp[range];
                            dp.fill(-dq * q / sum);
                            dp[label] += dq / sum;
                        }
                    })
                }
                Target::Weights(weights) => with_slice(&weights.to_dtype(DType::F32)?, |t| {
                    for (row, dp) in dp.chunks_exact_mut(classes).enumerate() {
                        let range = row * classes..(row + 1) * classes;
                        let (p, t, g) = (&p[range.clone()], &t[range], gradient[row]);
                        let sum = sum_of(p);
                        let mut inner = 0f32;
                        for ((dp, p), t) in dp.iter_mut().zip(p).zip(t) {
                            let q = p / sum;
                            let inside = (LOW..=HIGH).contains(&q);
                            *dp = if inside { -t / q } else { 0.0 };
                            inner += *dp * q;
                        }
                        dp.iter_mut().for_each(|dp| *dp = (*dp - inner) * (g / sum));
                    }
                    Ok(())
                }),
            })
        })?;
        pass.give(0, Tensor::from_vec(dp, pass.input(0).shape(), pass.input(0).device())?)
    }
}
