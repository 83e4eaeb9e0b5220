//! Averages and maxima of segments of an axis: global and adaptive pooling.
//!
//! Shapes: x `[outer, places, inner]`, y `[outer, segments, inner]`. Segments may overlap.

use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, reshape};
use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::{for_rows, vectorized, with_slice};
use std::ops::Range;

/// The average over an axis: `[outer, places, inner]` to `[outer, inner]`.
pub fn global_average(x: &Tensor) -> Result<Tensor> {
    global(x, Reduction::Average)
}

/// The maximum over an axis: `[outer, places, inner]` to `[outer, inner]`. Equal maxima share the gradient.
pub fn global_max(x: &Tensor) -> Result<Tensor> {
    global(x, Reduction::SharedMax)
}

/// Averages of segments of the middle axis.
pub fn segment_average(x: &Tensor, segments: Vec<Range<usize>>) -> Result<Tensor> {
    Segments { segments, reduction: Reduction::Average }.apply(&[x])
}

/// Maxima of segments of the middle axis. Of equal ones the first has the gradient.
pub fn segment_max(x: &Tensor, segments: Vec<Range<usize>>) -> Result<Tensor> {
    Segments { segments, reduction: Reduction::FirstMax }.apply(&[x])
}

fn global(x: &Tensor, reduction: Reduction) -> Result<Tensor> {
    let (outer, places, inner) = x.dims3()?;
    let all = 0..places;
    let y = Segments { segments: vec![all], reduction }.apply(&[x])?;
    reshape(&y, (outer, inner))
}

/// What is taken of a segment, and which of equal maxima have the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reduction {
    Average,
    FirstMax,
    SharedMax,
}

/// The operation.
#[derive(Clone)]
struct Segments {
    segments: Vec<Range<usize>>,
    reduction: Reduction,
}

impl Segments {
    /// (outer, places, inner).
    fn sizes(&self, x: &[usize]) -> Result<(usize, usize, usize)> {
        match x {
            [outer, places, inner]
                if self.segments.iter().all(|s| !s.is_empty() && s.end <= *places) =>
            {
                Ok((*outer, *places, *inner))
            }
            _ => bail!("segments {:?} do not fit an input of shape {x:?}", self.segments),
        }
    }

    /// `[segments, places]`: what each place counts in the average.
    fn matrix(&self, places: usize, like: &Tensor) -> Result<Tensor> {
        let mut matrix = vec![0.0; self.segments.len() * places];
        for (row, segment) in matrix.chunks_exact_mut(places.max(1)).zip(&self.segments) {
            row[segment.clone()].fill(1.0 / segment.len() as f64);
        }
        let shape = (self.segments.len(), places);
        Tensor::from_vec(matrix, shape, like.device())?.to_dtype(like.dtype())
    }

    /// `matrix x` for each outer index and each inner one.
    fn along(matrix: &Tensor, x: &Tensor) -> Result<Tensor> {
        let (outer, places, inner) = x.dims3()?;
        let flat = x.transpose(0, 1)?.contiguous()?.reshape((places, outer * inner))?;
        let y = matrix.matmul(&flat)?.reshape(((), outer, inner))?;
        y.transpose(0, 1)?.contiguous()
    }

    /// What part of the gradient of a maximum each place has.
    fn shares(&self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let is_best = x.broadcast_eq(y)?;
        let dtype = x.dtype();
        if self.reduction == Reduction::SharedMax {
            let is_best = is_best.to_dtype(dtype)?;
            return is_best.broadcast_div(&is_best.sum_keepdim(1)?);
        }
        let places = x.dim(1)?;
        let numbers = Tensor::arange(0u32, places as u32, x.device())?.reshape((places, 1))?;
        let numbers = numbers.broadcast_as(x.shape())?.contiguous()?;
        let none = numbers.ones_like()?.affine(places as f64, 0.0)?;
        let first = is_best.where_cond(&numbers, &none)?.min_keepdim(1)?;
        numbers.broadcast_eq(&first)?.to_dtype(dtype)
    }
}

impl Operation for Segments {
    type Saved = ();

    fn name(&self) -> &'static str {
        match self.reduction {
            Reduction::Average => "segment_average",
            _ => "segment_max",
        }
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let x = inputs[0];
        let (_, places, _) = self.sizes(x.dims())?;
        let y = match self.reduction {
            Reduction::Average => Self::along(&self.matrix(places, x)?, x)?,
            _ => {
                let maximum = |s: &Range<usize>| x.narrow(1, s.start, s.len())?.max_keepdim(1);
                Tensor::cat(&self.segments.iter().map(maximum).collect::<Result<Vec<_>>>()?, 1)?
            }
        };
        Ok((vec![y], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let (x, y, dy) = (pass.input(0), pass.output(0), pass.dy()?);
        let (_, places, _) = self.sizes(x.dims())?;
        let dx = match self.reduction {
            Reduction::Average => Self::along(&self.matrix(places, x)?.t()?.contiguous()?, dy)?,
            _ => {
                let mut dx = x.zeros_like()?;
                for (index, segment) in self.segments.iter().enumerate() {
                    let own = x.narrow(1, segment.start, segment.len())?.contiguous()?;
                    let shares = self.shares(&own, &y.narrow(1, index, 1)?)?;
                    let own = shares.broadcast_mul(&dy.narrow(1, index, 1)?)?;
                    dx = (dx + own.pad_with_zeros(1, segment.start, places - segment.end)?)?;
                }
                dx
            }
        };
        pass.give(0, dx)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for Segments {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let x = inputs[0];
        let (outer, places, inner) = self.sizes(x.dims)?;
        let width = self.segments.len() * inner;
        let mut y = vec![0.0; outer * width];
        for_rows(&mut y, width, |first, rows| {
            let images = x.data[first * places * inner..].chunks_exact((places * inner).max(1));
            vectorized(
                #[inline(always)]
                || {
                    for (y, image) in rows.chunks_exact_mut(width).zip(images) {
                        for (y, segment) in y.chunks_exact_mut(inner.max(1)).zip(&self.segments) {
                            let own = image[segment.start * inner..segment.end * inner]
                                .chunks_exact(inner.max(1));
                            reduce(self.reduction, own, segment.len(), y);
                        }
                    }
                },
            );
        });
        Ok((vec![(y, Shape::from((outer, self.segments.len(), inner)))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let x = pass.input(0);
        let (outer, places, inner) = self.sizes(x.dims())?;
        let width = self.segments.len() * inner;
        let mut dx = vec![0.0; outer * places * inner];
        with_slice(x, |x| {
            with_slice(pass.output(0), |y| {
                with_slice(pass.dy()?, |dy| {
                    for_rows(&mut dx, places * inner, |first, rows| {
                        let images =
                            x[first * places * inner..].chunks_exact((places * inner).max(1));
                        let results = y[first * width..].chunks_exact(width.max(1));
                        let gradients = dy[first * width..].chunks_exact(width.max(1));
                        let rows = rows.chunks_exact_mut((places * inner).max(1));
                        for (((dx, x), y), dy) in rows.zip(images).zip(results).zip(gradients) {
                            self.spread(dx, x, y, dy, inner);
                        }
                    });
                    Ok(())
                })
            })
        })?;
        pass.give(0, Tensor::from_vec(dx, x.shape(), x.device())?)
    }
}

/// The average or maximum of `count` rows.
#[inline(always)]
fn reduce<'a>(
    reduction: Reduction,
    rows: impl Iterator<Item = &'a [f32]>,
    count: usize,
    y: &mut [f32],
) {
    if reduction == Reduction::Average {
        for row in rows {
            y.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        let count = count as f32;
        y.iter_mut().for_each(|sum| *sum /= count);
        return;
    }
    y.fill(f32::NEG_INFINITY);
    for row in rows {
        for (best, x) in y.iter_mut().zip(row) {
            *best = if *x > *best || x.is_nan() { *x } else { *best };
        }
    }
}

impl Segments {
    /// Adds the gradient of one outer index.
    fn spread(&self, dx: &mut [f32], x: &[f32], y: &[f32], dy: &[f32], inner: usize) {
        let results = y.chunks_exact(inner).zip(dy.chunks_exact(inner));
        for (segment, (y, dy)) in self.segments.iter().zip(results) {
            let range = segment.start * inner..segment.end * inner;
            let (dx, x) = (&mut dx[range.clone()], &x[range]);
            if self.reduction == Reduction::Average {
                let count = segment.len() as f32;
                for dx in dx.chunks_exact_mut(inner) {
                    dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy / count);
                }
                continue;
            }
            // How many places have a part of the gradient; how many equal ones come before.
            let mut ties = vec![0f32; inner];
            for x in x.chunks_exact(inner) {
                ties.iter_mut().zip(x).zip(y).for_each(|((ties, x), y)| *ties += f32::from(x == y));
            }
            let first = self.reduction == Reduction::FirstMax;
            let mut seen = vec![false; inner];
            for (dx, x) in dx.chunks_exact_mut(inner).zip(x.chunks_exact(inner)) {
                for (c, dx) in dx.iter_mut().enumerate() {
                    if x[c] == y[c] && !(first && seen[c]) {
                        seen[c] = true;
                        *dx += if first { dy[c] } else { dy[c] / ties[c] };
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check_operation, sample};
    use candle_core::Var;
    use sconce_core::{GradientSink, Tape};

    #[test]
    fn gradients_and_forms_agree() {
        for (dims, segments) in [
            ([2, 5, 3], vec![0..5]),
            ([1, 7, 1], vec![0..2, 1..3, 2..5, 4..6, 5..7]),
            ([3, 4, 17], vec![0..1, 0..1, 1..2, 2..4]),
        ] {
            let x = sample("x", &dims).unwrap();
            for reduction in [Reduction::Average, Reduction::FirstMax, Reduction::SharedMax] {
                let make = || Segments { segments: segments.clone(), reduction };
                check_operation(make, std::slice::from_ref(&x)).unwrap();
            }
        }
    }

    #[test]
    fn equal_maxima() {
        let x = Tensor::new(&[[[1f32], [4.0], [4.0], [2.0]]], &Device::Cpu).unwrap();
        let x = Var::from_tensor(&x).unwrap();
        for (reduction, expected) in [
            (Reduction::FirstMax, [0.0, 1.0, 0.0, 0.0]),
            (Reduction::SharedMax, [0.0, 0.5, 0.5, 0.0]),
        ] {
            for composed in [false, true] {
                let all = 0..4;
                let op = Segments { segments: vec![all], reduction };
                let (total, tape) = Tape::record(|| {
                    let y = if composed { op.apply_composed(&[&x]) } else { op.apply(&[&x]) };
                    y.unwrap().sum_all().unwrap()
                });
                let mut sink = GradientSink::new([x.as_tensor()]);
                tape.backward(&total, &mut sink).unwrap();
                let dx = sink.take(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert_eq!(dx, expected);
            }
        }
    }

    #[test]
    fn empty_batches_and_misfits() {
        let zeros = |dims: [usize; 3]| Tensor::zeros(&dims, DType::F32, &Device::Cpu).unwrap();
        assert_eq!(global_average(&zeros([0, 3, 2])).unwrap().dims(), [0, 2]);
        assert_eq!(global_max(&zeros([2, 3, 0])).unwrap().dims(), [2, 0]);
        let message = global_average(&zeros([1, 0, 2])).unwrap_err().to_string();
        assert!(message.contains("[1, 0, 2]"), "{message}");
    }
}
