//! `softmax(x)_i = e^(x_i) / sum_j e^(x_j)` along an axis.

use super::axis::{LAST, along};
use super::{Activation, Range};
use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{D, DType, Device, Result, Shape, Tensor};
use sconce_core::Config;
use sconce_core::tape::Pass;
use sconce_kernels::with_slice;
use sconce_kernels::{for_rows, lane_max, lane_sum, math, vectorized};

/// Probabilities from logits.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "softmax")]
pub struct Softmax {
    /// The axis whose values add up to 1; negative ones count from the end. Default -1.
    #[config(default = LAST)]
    pub axis: i64,
}

impl Activation for Softmax {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        along("softmax", x, self.axis, |x| Rows.apply(&[x]))
    }

    fn call_composed(&self, x: &Tensor) -> Result<Tensor> {
        along("softmax", x, self.axis, |x| Rows.apply_composed(&[x]))
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
                let max = lane_max(row);
                row.iter_mut().for_each(|v| *v -= max);
            }
            // One pass over everything, since rows are often shorter than a vector.
            values.iter_mut().for_each(|v| *v = math::exp(*v));
            for row in values.chunks_exact_mut(width) {
                let scale = 1.0 / lane_sum([row], |[x]| x);
                row.iter_mut().for_each(|v| *v *= scale);
            }
        },
    );
}

/// Along the last axis.
struct Rows;

impl Operation for Rows {
    type Saved = ();

    fn name(&self) -> &'static str {
        "softmax"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let x = inputs[0];
        let e = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
        one(e.broadcast_div(&e.sum_keepdim(D::Minus1)?))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let y = pass.output(0);
        let dy = pass.dy()?;
        let inner = (y * dy)?.sum_keepdim(D::Minus1)?;
        pass.give(0, (y * dy.broadcast_sub(&inner)?)?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for Rows {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let mut y = inputs[0].data.to_vec();
        let width = inputs[0].dims.last().copied().unwrap_or(1);
        for_rows(&mut y, width, |_, rows| softmax_rows(rows, width));
        Ok((vec![(y, Shape::from(inputs[0].dims))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let y = pass.output(0);
        let dy = pass.dy()?;
        let width = y.dims().last().copied().unwrap_or(1);
        let mut dx = with_slice(dy, |dy| Ok(dy.to_vec()))?;
        with_slice(y, |y| {
            for_rows(&mut dx, width, |first, dx| {
                let y = &y[first * width..][..dx.len()];
                vectorized(
                    #[inline(always)]
                    || {
                        for (dx, y) in dx.chunks_exact_mut(width).zip(y.chunks_exact(width)) {
                            let inner = lane_sum([dx, y], |[dy, y]| dy * y);
                            for (dx, y) in dx.iter_mut().zip(y) {
                                *dx = y * (*dx - inner);
                            }
                        }
                    },
                );
            });
            Ok(())
        })?;
        pass.give(0, Tensor::from_vec(dx, y.shape(), y.device())?)
    }
}
