//! `glu(x) = a * sigmoid(b)`, where a and b are the halves of x along an axis.

use super::Activation;
use super::axis::{LAST, along, position};
use crate::expression::compute;
use crate::number::{Number, Scalar};
use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{D, DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_core::{Config, Dims, Error};
use sconce_kernels::with_slice;
use sconce_kernels::{for_rows, vectorized};

/// Gated linear unit ([Dauphin et al., 2017](https://arxiv.org/abs/1612.08083)). x `[.., 2 n, ..]`, y
/// `[.., n, ..]`.
#[derive(Clone, Copy, Debug, Config)]
#[config(name = "glu")]
pub struct Glu {
    /// The axis that is halved, of even length; negative ones count from the end. Default -1.
    #[config(default = LAST)]
    pub axis: i64,
}

impl Activation for Glu {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        along("glu", x, self.axis, |x| Rows.apply(&[x]))
    }

    fn call_composed(&self, x: &Tensor) -> Result<Tensor> {
        along("glu", x, self.axis, |x| Rows.apply_composed(&[x]))
    }

    fn output_dims(&self, input: &Dims) -> sconce_core::Result<Dims> {
        let axis = position("glu", input.rank(), self.axis)?;
        let mut dims = input.clone();
        if let Some(Some(length)) = dims.0.get_mut(axis) {
            *length = half(*length).map_err(|e| Error::layer("", e.to_string()))?;
        }
        Ok(dims)
    }
}

fn half(length: usize) -> Result<usize> {
    if !length.is_multiple_of(2) {
        bail!("glu: the axis to halve has {length} elements, which is odd")
    }
    Ok(length / 2)
}

/// The shape with half its last axis, and that half.
fn halved(dims: &[usize]) -> Result<(Shape, usize)> {
    match dims.split_last() {
        Some((last, front)) => {
            let half = half(*last)?;
            Ok((Shape::from([front, &[half]].concat()), half))
        }
        None => bail!("glu: a scalar has no halves"),
    }
}

/// Along the last axis.
struct Rows;

impl Rows {
    #[inline(always)]
    fn value<N: Number>(a: N, b: N) -> N {
        a * b.sigmoid()
    }

    /// The slope in a.
    #[inline(always)]
    fn slope_a<N: Number>(_: N, b: N) -> N {
        b.sigmoid()
    }

    /// The slope in b.
    #[inline(always)]
    fn slope_b<N: Number>(a: N, b: N) -> N {
        let s = b.sigmoid();
        a * s * (-s + 1.0)
    }
}

impl Operation for Rows {
    type Saved = ();

    fn name(&self) -> &'static str {
        "glu"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let (_, half) = halved(inputs[0].dims())?;
        let a = inputs[0].narrow(D::Minus1, 0, half)?;
        let b = inputs[0].narrow(D::Minus1, half, half)?;
        one(compute([&a, &b], |[a, b]| Self::value(a, b)))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let dy = pass.dy()?;
        let (_, half) = halved(pass.input(0).dims())?;
        let a = pass.input(0).narrow(D::Minus1, 0, half)?;
        let b = pass.input(0).narrow(D::Minus1, half, half)?;
        let da = compute([dy, &a, &b], |[dy, a, b]| dy * Self::slope_a(a, b))?;
        let db = compute([dy, &a, &b], |[dy, a, b]| dy * Self::slope_b(a, b))?;
        pass.give(0, Tensor::cat(&[da, db], D::Minus1)?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for Rows {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let (shape, half) = halved(inputs[0].dims)?;
        let mut y = vec![0.0; shape.elem_count()];
        for_rows(&mut y, half, |first, y| {
            let x = &inputs[0].data[2 * first * half..];
            vectorized(
                #[inline(always)]
                || {
                    for (y, x) in y.chunks_exact_mut(half).zip(x.chunks_exact(2 * half)) {
                        let (a, b) = x.split_at(half);
                        for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
                            *y = Self::value(Scalar(*a), Scalar(*b)).0;
                        }
                    }
                },
            );
        });
        Ok((vec![(y, shape)], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let dy = pass.dy()?;
        let x = pass.input(0);
        let (_, half) = halved(x.dims())?;
        let mut dx = with_slice(x, |x| Ok(x.to_vec()))?;
        with_slice(dy, |dy| {
            for_rows(&mut dx, 2 * half, |first, dx| {
                let dy = &dy[first * half..];
                vectorized(
                    #[inline(always)]
                    || {
                        for (x, dy) in dx.chunks_exact_mut(2 * half).zip(dy.chunks_exact(half)) {
                            let (a, b) = x.split_at_mut(half);
                            for ((a, b), dy) in a.iter_mut().zip(b).zip(dy) {
                                let (x, z) = (Scalar(*a), Scalar(*b));
                                *a = dy * Self::slope_a(x, z).0;
                                *b = dy * Self::slope_b(x, z).0;
                            }
                        }
                    },
                );
            });
            Ok(())
        })?;
        pass.give(0, Tensor::from_vec(dx, x.shape(), x.device())?)
    }
}
