//! `log_softmax(x)_i = x_i - ln(sum_j e^(x_j))` along an axis.

use super::Activation;
use super::axis::{LAST, along};
use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{D, DType, Device, Result, Shape, Tensor};
use sconce_core::Config;
use sconce_core::tape::Pass;
use sconce_kernels::with_slice;
use sconce_kernels::{for_rows, lane_max, lane_sum, map, math, vectorized};

/// The logarithm of softmax, exact where the probability underflows.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "log_softmax")]
pub struct LogSoftmax {
    /// The axis whose probabilities add up to 1; negative ones count from the end. Default -1.
    #[config(default = LAST)]
    pub axis: i64,
}

impl Activation for LogSoftmax {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        along("log_softmax", x, self.axis, |x| Rows.apply(&[x]))
    }

    fn call_composed(&self, x: &Tensor) -> Result<Tensor> {
        along("log_softmax", x, self.axis, |x| Rows.apply_composed(&[x]))
    }
}

/// The composed form along the last axis.
pub(crate) fn log_softmax_rows(x: &Tensor) -> Result<Tensor> {
    let x = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?;
    x.broadcast_sub(&x.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

/// Along the last axis.
struct Rows;

impl Operation for Rows {
    type Saved = ();

    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        one(log_softmax_rows(inputs[0]))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let y = pass.output(0);
        let dy = pass.dy()?;
        let sum = dy.sum_keepdim(D::Minus1)?;
        pass.give(0, (dy - y.exp()?.broadcast_mul(&sum)?)?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for Rows {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let mut y = inputs[0].data.to_vec();
        let width = inputs[0].dims.last().copied().unwrap_or(1);
        for_rows(&mut y, width, |_, rows| {
            vectorized(
                #[inline(always)]
                || {
                    for row in rows.chunks_exact_mut(width) {
                        let max = lane_max(row);
                        row.iter_mut().for_each(|v| *v -= max);
                    }
                },
            );
            // The exponentials of everything and then the logarithms of all sums, since rows are often
            // shorter than a vector.
            let e = map(rows, math::exp);
            let mut logs: Vec<f32> = Vec::with_capacity(rows.len() / width);
            vectorized(
                #[inline(always)]
                || {
                    logs.extend(e.chunks_exact(width).map(|e| lane_sum([e], |[e]| e)));
                    for log in &mut logs {
                        *log = math::ln(*log);
                    }
                    for (row, log) in rows.chunks_exact_mut(width).zip(&logs) {
                        row.iter_mut().for_each(|v| *v -= log);
                    }
                },
            );
        });
        Ok((vec![(y, Shape::from(inputs[0].dims))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let y = pass.output(0);
        let dy = pass.dy()?;
        let width = y.dims().last().copied().unwrap_or(1);
        let mut dx = with_slice(y, |y| Ok(map(y, math::exp)))?;
        with_slice(dy, |dy| {
            for_rows(&mut dx, width, |first, dx| {
                let dy = &dy[first * width..][..dx.len()];
                vectorized(
                    #[inline(always)]
                    || {
                        for (dx, dy) in dx.chunks_exact_mut(width).zip(dy.chunks_exact(width)) {
                            let sum = lane_sum([dy], |[dy]| dy);
                            for (dx, dy) in dx.iter_mut().zip(dy) {
                                *dx = dy - *dx * sum;
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
