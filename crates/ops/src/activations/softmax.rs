//! `softmax(x)_i = e^(x_i) / sum_j e^(x_j)` over the last axis.

use super::{Activation, Range};
use crate::kernels::{math, vectorized};
use crate::op::{Input, Operation, with_slice};
use candle_core::{D, Result, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// Softmax over the last axis.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softmax {}

impl Activation for Softmax {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        (*self).apply(&[x])
    }

    fn range(&self) -> Range {
        Range::Probability
    }
}

/// Turns each row of `width` logits into probabilities, in place.
pub fn softmax_rows(values: &mut [f32], width: usize) {
    if width == 0 {
        return;
    }
    vectorized(
        #[inline(always)]
        || {
            for row in values.chunks_exact_mut(width) {
                let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                row.iter_mut().for_each(|v| *v -= max);
            }
            // One pass over everything, since rows are often shorter than a vector.
            values.iter_mut().for_each(|v| *v = math::exp(*v));
            for row in values.chunks_exact_mut(width) {
                let scale = 1.0 / row.iter().sum::<f32>();
                row.iter_mut().for_each(|v| *v *= scale);
            }
        },
    );
}

impl Operation for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let x = inputs[0];
        let e = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
        e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
    }

    fn backward(
        &self,
        _inputs: &[&Tensor],
        y: &Tensor,
        dy: &Tensor,
        _needs: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let inner = (y * dy)?.sum_keepdim(D::Minus1)?;
        Ok(vec![Some((y * dy.broadcast_sub(&inner)?)?)])
    }

    fn has_kernel(&self) -> bool {
        true
    }

    fn fused_forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Shape)> {
        let mut y = inputs[0].data.to_vec();
        softmax_rows(&mut y, inputs[0].dims.last().copied().unwrap_or(1));
        Ok((y, Shape::from(inputs[0].dims)))
    }

    fn fused_backward(
        &self,
        _inputs: &[&Tensor],
        y: &Tensor,
        dy: &Tensor,
        _needs: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let width = y.dims().last().copied().unwrap_or(1).max(1);
        let mut dx = with_slice(dy, |dy| Ok(dy.to_vec()))?;
        with_slice(y, |y| {
            vectorized(
                #[inline(always)]
                || {
                    for (dx, y) in dx.chunks_exact_mut(width).zip(y.chunks_exact(width)) {
                        let inner: f32 = dx.iter().zip(y).map(|(d, y)| d * y).sum();
                        for (dx, y) in dx.iter_mut().zip(y) {
                            *dx = y * (*dx - inner);
                        }
                    }
                },
            );
            Ok(())
        })?;
        Ok(vec![Some(Tensor::from_vec(dx, y.shape(), y.device())?)])
    }
}
