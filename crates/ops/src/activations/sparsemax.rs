//! `sparsemax(x)_i = max(x_i - t(x), 0)` along an axis.

use super::axis::{LAST, along};
use super::{Activation, Range};
use crate::expression::compute;
use crate::number::{Mask, Number};
use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{D, DType, Device, Result, Shape, Tensor};
use sconce_core::Config;
use sconce_core::tape::Pass;
use sconce_kernels::for_rows;
use sconce_kernels::with_slice;
use std::cmp::Ordering;

/// A softmax that gives exact zeros
/// ([Martins and Astudillo, 2016](https://arxiv.org/abs/1602.02068)).
///
/// With x sorted, `x_1 >= x_2 >= ..`, sums `c_j = x_1 + .. + x_j`, and the support, the k values with
/// `x_j > (c_j - 1) / j`:
///
/// ```text
/// t(x) = (c_1 + .. + c_k - 1) / k     as Keras 3.15 computes it
/// t(x) = (c_k - 1) / k                projection
/// ```
///
/// The second is the paper's: the nearest point of the simplex, whose values add up to 1. The first is
/// larger where k > 1, a mistake that Keras corrected after 3.15 (keras-team/keras#23425); it is the
/// default, so that models saved by that Keras predict what they did.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "sparsemax")]
pub struct Sparsemax {
    /// The axis; negative ones count from the end. Default -1.
    #[config(default = LAST)]
    pub axis: i64,
    /// Whether the threshold is the paper's. Default false.
    #[config(default = false)]
    pub projection: bool,
}

impl Activation for Sparsemax {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        let rows = Rows { projection: self.projection };
        along("sparsemax", x, self.axis, |x| rows.apply(&[x]))
    }

    fn call_composed(&self, x: &Tensor) -> Result<Tensor> {
        let rows = Rows { projection: self.projection };
        along("sparsemax", x, self.axis, |x| rows.apply_composed(&[x]))
    }

    fn range(&self) -> Range {
        Range::Probability
    }
}

/// Along the last axis.
struct Rows {
    projection: bool,
}

/// What the composed forms need, for inputs [rows, width].
struct Composed {
    /// The threshold of each row, [rows, 1].
    threshold: Tensor,
    /// Its slope in each element, [rows, width].
    slope: Tensor,
}

impl Rows {
    fn compose(&self, x: &Tensor) -> Result<Composed> {
        let width = x.dim(1)?;
        let order = x.arg_sort_last_dim(false)?;
        let sorted = x.gather(&order, 1)?;
        let sums = sorted.cumsum(1)?;
        let index = Tensor::arange(0u32, width as u32, x.device())?.to_dtype(x.dtype())?;
        let limits = (&sums - 1.0)?.broadcast_div(&(&index + 1.0)?)?;
        let support = sorted.gt(&limits)?.to_dtype(x.dtype())?;
        let count = support.sum_keepdim(1)?.maximum(1f64)?;
        let (total, slope) = if self.projection {
            ((&support * sorted)?, support.clone())
        } else {
            // x_j is part of c_j .. c_k.
            ((&support * sums)?, (&support * count.broadcast_sub(&index)?)?)
        };
        let threshold = ((total.sum_keepdim(1)? - 1.0)? / &count)?;
        // The order of the order is each element's place in it.
        let place = order.arg_sort_last_dim(true)?;
        Ok(Composed { threshold, slope: slope.broadcast_div(&count)?.gather(&place, 1)? })
    }

    /// Sorts the places of a row by value, the first of equal values first, and returns the size of
    /// the support and the threshold. In f64, where the sums are exact enough for any logits.
    fn threshold(&self, row: &[f32], order: &mut Vec<usize>) -> (usize, f64) {
        order.clear();
        order.extend(0..row.len());
        order.sort_unstable_by(|a, b| {
            let by_value = row[*b].partial_cmp(&row[*a]).unwrap_or(Ordering::Equal);
            by_value.then(a.cmp(b))
        });
        let (mut sum, mut total, mut count) = (0.0, 0.0, 0);
        for (j, place) in order.iter().enumerate() {
            let value = f64::from(row[*place]);
            sum += value;
            if value > (sum - 1.0) / (j + 1) as f64 {
                total += if self.projection { value } else { sum };
                count += 1;
            }
        }
        let count = count.max(1);
        let nan = row.iter().any(|v| v.is_nan());
        (count, if nan { f64::NAN } else { (total - 1.0) / count as f64 })
    }
}

impl Operation for Rows {
    type Saved = ();

    fn name(&self) -> &'static str {
        "sparsemax"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let x = inputs[0].reshape(((), inputs[0].dim(D::Minus1)?))?;
        let y = x.broadcast_sub(&self.compose(&x)?.threshold)?.maximum(0f64)?;
        one(y.reshape(inputs[0].shape()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let dy = pass.dy()?;
        let x = pass.input(0).reshape(((), pass.input(0).dim(D::Minus1)?))?;
        let Composed { threshold, slope } = self.compose(&x)?;
        // At the threshold itself JAX's slope of max is 1/2.
        let open = compute([&x.broadcast_sub(&threshold)?], |[above]| {
            above.gt(0.0).select(1.0, above.eq(0.0).select(0.5, 0.0))
        })?;
        let dy = (dy.reshape(x.shape())? * open)?;
        let dx = (&dy - slope.broadcast_mul(&dy.sum_keepdim(1)?)?)?;
        pass.give(0, dx.reshape(pass.input(0).shape())?)
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
            let mut order = Vec::with_capacity(width);
            for row in rows.chunks_exact_mut(width) {
                let (_, threshold) = self.threshold(row, &mut order);
                for v in row {
                    let above = (f64::from(*v) - threshold) as f32;
                    *v = if above < 0.0 { 0.0 } else { above };
                }
            }
        });
        Ok((vec![(y, Shape::from(inputs[0].dims))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let dy = pass.dy()?;
        let width = dy.dims().last().copied().unwrap_or(1);
        let mut dx = with_slice(dy, |dy| Ok(dy.to_vec()))?;
        with_slice(pass.input(0), |x| {
            for_rows(&mut dx, width, |first, dx| {
                let x = &x[first * width..][..dx.len()];
                let mut order = Vec::with_capacity(width);
                for (dx, x) in dx.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                    let (count, threshold) = self.threshold(x, &mut order);
                    for (dx, x) in dx.iter_mut().zip(x) {
                        // As in the composed form.
                        *dx *= match f64::from(*x).partial_cmp(&threshold) {
                            Some(Ordering::Less) => 0.0,
                            Some(Ordering::Equal) => 0.5,
                            _ => 1.0,
                        };
                    }
                    let mean = dx.iter().sum::<f32>() / count as f32;
                    for (j, place) in order.iter().take(count).enumerate() {
                        let times = if self.projection { 1 } else { count - j };
                        dx[*place] -= times as f32 * mean;
                    }
                }
            });
            Ok(())
        })?;
        pass.give(0, Tensor::from_vec(dx, dy.shape(), dy.device())?)
    }
}
