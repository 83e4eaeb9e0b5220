//! Products of batches of matrices.
//!
//! Shapes: a `[n, rows, inner]`, b `[n, inner, columns]`, y `[n, rows, columns]`.

use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::{Matrix, for_parts, product, with_slice};

/// `y[i] = a[i] b[i]`, differentiable in both.
pub fn batched_matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    BatchedMatmul.apply(&[a, b])
}

struct BatchedMatmul;

/// Batch, rows, inner length, columns.
fn sizes(a: &[usize], b: &[usize]) -> Result<[usize; 4]> {
    match (a, b) {
        ([n, rows, inner], [m, other, columns]) if n == m && inner == other => {
            Ok([*n, *rows, *inner, *columns])
        }
        _ => bail!("matmul: batches of matrices of shapes {a:?} and {b:?} cannot be multiplied"),
    }
}

/// The `i`-th matrix of a batch.
fn matrix(values: &[f32], i: usize, rows: usize, columns: usize) -> Option<Matrix<'_>> {
    let len = rows * columns;
    Matrix::new(values.get(i * len..(i + 1) * len)?, rows, columns)
}

/// `out[i] (+)= left(i) right(i)`, the matrices of a batch in parallel.
fn products<'a>(
    out: &mut [f32],
    len: usize,
    accumulate: bool,
    left: impl Fn(usize) -> Option<Matrix<'a>> + Sync,
    right: impl Fn(usize) -> Option<Matrix<'a>> + Sync,
) -> Result<()> {
    let fits = std::sync::atomic::AtomicBool::new(true);
    for_parts(out, len, |start, out| {
        let i = start / len.max(1);
        let done = match (left(i), right(i)) {
            (Some(a), Some(b)) => product(out, a, b, accumulate),
            _ => false,
        };
        if !done {
            fits.store(false, std::sync::atomic::Ordering::Relaxed);
        }
    });
    match fits.into_inner() {
        true => Ok(()),
        false => bail!("matmul: the values do not fit the shapes"),
    }
}

impl Operation for BatchedMatmul {
    type Saved = ();

    fn name(&self) -> &'static str {
        "matmul"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        sizes(inputs[0].dims(), inputs[1].dims())?;
        one(inputs[0].matmul(inputs[1]))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let (a, b, dy) = (pass.input(0), pass.input(1), pass.dy()?);
        if pass.needs(0) {
            pass.give(0, dy.matmul(&b.t()?.contiguous()?)?)?;
        }
        if pass.needs(1) {
            pass.give(1, a.t()?.contiguous()?.matmul(dy)?)?;
        }
        Ok(())
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for BatchedMatmul {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let (a, b) = (inputs[0].data, inputs[1].data);
        let [n, rows, inner, columns] = sizes(inputs[0].dims, inputs[1].dims)?;
        let mut y = vec![0f32; n * rows * columns];
        let (left, right) = (|i| matrix(a, i, rows, inner), |i| matrix(b, i, inner, columns));
        products(&mut y, rows * columns, false, left, right)?;
        Ok((vec![(y, Shape::from((n, rows, columns)))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let (a, b, dy) = (pass.input(0), pass.input(1), pass.dy()?);
        let [_, rows, inner, columns] = sizes(a.dims(), b.dims())?;
        with_slice(dy, |dy| {
            with_slice(b, |b| {
                pass.write(0, |da, accumulate| {
                    let right = |i| matrix(b, i, inner, columns).map(Matrix::t);
                    products(da, rows * inner, accumulate, |i| matrix(dy, i, rows, columns), right)
                })
            })?;
            with_slice(a, |a| {
                pass.write(1, |db, accumulate| {
                    let left = |i| matrix(a, i, rows, inner).map(Matrix::t);
                    let right = |i| matrix(dy, i, rows, columns);
                    products(db, inner * columns, accumulate, left, right)
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check_operation, sample};

    #[test]
    fn gradients_and_forms_agree() {
        for [n, rows, inner, columns] in [[1, 1, 1, 1], [3, 2, 5, 4], [2, 7, 1, 3]] {
            let a = sample("a", &[n, rows, inner]).unwrap();
            let b = sample("b", &[n, inner, columns]).unwrap();
            check_operation(|| BatchedMatmul, &[a, b]).unwrap();
        }
    }

    #[test]
    fn lengths_of_zero_and_shapes_that_do_not_fit() {
        let zeros = |dims: [usize; 3]| Tensor::zeros(&dims, DType::F32, &Device::Cpu).unwrap();
        for (a, b, y) in [
            ([0, 2, 3], [0, 3, 4], [0, 2, 4]),
            ([2, 0, 3], [2, 3, 4], [2, 0, 4]),
            ([2, 2, 0], [2, 0, 4], [2, 2, 4]),
        ] {
            let product = batched_matmul(&zeros(a), &zeros(b)).unwrap();
            assert_eq!(product.dims(), y);
        }
        assert!(batched_matmul(&zeros([2, 2, 3]), &zeros([2, 4, 2])).is_err());
        assert!(batched_matmul(&zeros([2, 2, 3]), &zeros([3, 3, 2])).is_err());
    }
}
