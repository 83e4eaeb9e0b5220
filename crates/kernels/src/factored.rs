//! Second moments of matrices, factored into rows and columns (Adafactor).

use crate::{lane_sum, vectorized, with_slice, with_slice_mut};
use candle_core::{Device, Result, Tensor, bail};

/// The means of `x^2 + epsilon` over the last axis and over the one before it, of `x [.., n, m]` (f32 on the CPU,
/// contiguous): `[.., n]` and `[.., m]`.
pub fn square_means(x: &Tensor, epsilon: f32) -> Result<(Tensor, Tensor)> {
    let [leading @ .., n, m] = x.dims() else { bail!("a factored moment needs two axes") };
    let (n, m) = (*n, *m);
    let matrices: usize = leading.iter().product();
    let (mut rows, mut columns) = (vec![0f32; matrices * n], vec![0f32; matrices * m]);
    with_slice(x, |x| {
        vectorized(
            #[inline(always)]
            || {
                for matrix in 0..matrices {
                    let columns = &mut columns[matrix * m..(matrix + 1) * m];
                    for i in matrix * n..(matrix + 1) * n {
                        let row = &x[i * m..(i + 1) * m];
                        for (sum, x) in columns.iter_mut().zip(row) {
                            *sum += x * x + epsilon;
                        }
                        rows[i] = lane_sum([row], |[x]| x * x + epsilon) / m as f32;
                    }
                    columns.iter_mut().for_each(|sum| *sum /= n as f32);
                }
            },
        );
        Ok(())
    })?;
    let of = |last: usize| leading.iter().copied().chain([last]).collect::<Vec<_>>();
    Ok((
        Tensor::from_vec(rows, of(n), &Device::Cpu)?,
        Tensor::from_vec(columns, of(m), &Device::Cpu)?,
    ))
}

/// `out [.., n, m] = rows [.., n] * columns [.., m]`, in place (f32 on the CPU, contiguous).
pub fn outer(out: &Tensor, rows: &Tensor, columns: &Tensor) -> Result<()> {
    let [leading @ .., n, m] = out.dims() else { bail!("a factored moment needs two axes") };
    let fits = |x: &Tensor, last: &usize| {
        x.dims().split_last().is_some_and(|(l, before)| l == last && before == leading)
    };
    if !fits(rows, n) || !fits(columns, m) {
        bail!("the factors of {:?} are {:?} and {:?}", out.dims(), rows.dims(), columns.dims())
    }
    let (n, m) = (*n, *m);
    with_slice(rows, |rows| {
        with_slice(columns, |columns| {
            with_slice_mut(out, |out| {
                vectorized(
                    #[inline(always)]
                    || {
                        for (i, row) in rows.iter().enumerate() {
                            let columns = &columns[i / n * m..(i / n + 1) * m];
                            let out = &mut out[i * m..(i + 1) * m];
                            for (out, column) in out.iter_mut().zip(columns) {
                                *out = row * column;
                            }
                        }
                    },
                );
                Ok(())
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    fn close(ours: &Tensor, expected: &Tensor) {
        assert_eq!(ours.dims(), expected.dims());
        let values = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (a, b) in values(ours).iter().zip(values(expected)) {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} {b}");
        }
    }

    #[test]
    fn as_composed() {
        for dims in [&[1usize, 1][..], &[3, 5], &[17, 33], &[2, 3, 4], &[2, 2, 1, 40], &[0, 3]] {
            let count: usize = dims.iter().product();
            let x = Tensor::arange(0f32, count as f32, &Device::Cpu).unwrap();
            let x = ((x * 0.37).unwrap().sin().unwrap()).reshape(dims).unwrap();
            let (rows, columns) = square_means(&x, 0.5).unwrap();
            let rank = dims.len();
            let square = (x.sqr().unwrap() + 0.5).unwrap();
            if count > 0 {
                close(&rows, &square.mean(rank - 1).unwrap());
                close(&columns, &square.mean(rank - 2).unwrap());
            }
            let out = x.zeros_like().unwrap();
            outer(&out, &rows, &columns).unwrap();
            let expected = rows.unsqueeze(rank - 1).unwrap();
            let expected = expected.broadcast_mul(&columns.unsqueeze(rank - 2).unwrap()).unwrap();
            close(&out, &expected);
        }
    }

    #[test]
    fn shapes_must_fit() {
        let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
        assert!(square_means(&zeros(&[3]), 0.0).is_err());
        assert!(outer(&zeros(&[2, 3]), &zeros(&[3]), &zeros(&[3])).is_err());
        assert!(outer(&zeros(&[2, 3]), &zeros(&[2]), &zeros(&[2])).is_err());
        assert!(outer(&zeros(&[2]), &zeros(&[2]), &zeros(&[2])).is_err());
    }
}
