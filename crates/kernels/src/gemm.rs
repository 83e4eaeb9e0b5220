//! Matrix products on slices: `gemm` (candle's own), cut by shape and run on candle's pool.

use super::threads::{Shared, parallel};
use std::ops::Range;

/// Operations (multiply and add count as two) below which a product runs on one thread.
const SERIAL: usize = 2_000_000;
/// Fewest rows or columns of the result in one part: less, and packing the other side repeats too
/// often.
const BLOCK: usize = 128;
/// Most parts of one product.
const PARTS: usize = 32;

/// A row-major matrix, or the transposed view of one.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    /// Distance between rows of the matrix that this is a view of.
    stride: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// `data` holds `rows * columns` values, row-major. Returns `None` if it does not.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Option<Self> {
        (rows.checked_mul(columns)? == data.len()).then_some(Self {
            data,
            rows,
            columns,
            stride: columns,
            transposed: false,
        })
    }

    /// Some of the columns of a matrix that is not transposed. Returns `None` if it does not have them.
    pub fn column_range(self, range: Range<usize>) -> Option<Self> {
        if self.transposed || range.start > range.end || range.end > self.columns {
            return None;
        }
        let data = self.data.get(range.start..).unwrap_or(&[]);
        Some(Self { data, columns: range.len(), ..self })
    }

    /// The transposed view.
    pub fn t(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }

    /// Number of rows of the view.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns of the view.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Distance between columns and between rows, in elements.
    fn strides(&self) -> (isize, isize) {
        let stride = self.stride as isize;
        if self.transposed { (stride, 1) } else { (1, stride) }
    }
}

/// `out = a b`, or `out += a b` if `accumulate`; `out` is row-major. The inner sums run in the same
/// order for any number of threads.
///
/// Returns `false`, and does nothing, if the shapes do not fit.
#[must_use]
pub fn product(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>, accumulate: bool) -> bool {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    if b.rows != k || m.checked_mul(n) != Some(out.len()) {
        return false;
    }
    if out.is_empty() {
        return true;
    }
    let operations = 2usize.saturating_mul(m).saturating_mul(n).saturating_mul(k);
    let by_rows = m >= n;
    let long = m.max(n);
    // A power of two, so that the usual numbers of threads have equal shares.
    let parts = if operations < SERIAL { 1 } else { 1 << (long / BLOCK).clamp(1, PARTS).ilog2() };
    // Whole blocks of 32, the height of the micro-kernel, except for the last part.
    let step = long.div_ceil(parts).next_multiple_of(32);
    let parts = long.div_ceil(step);
    let ((a_cs, a_rs), (b_cs, b_rs)) = (a.strides(), b.strides());
    let out_rs = n as isize;
    let shared = Shared::new(out);
    parallel(parts, |part| {
        let start = part * step;
        let count = step.min(long - start);
        let (rows, columns, row, column) =
            if by_rows { (count, n, start, 0) } else { (m, count, 0, start) };
        // SAFETY: `Matrix::new`, `column_range` and the check above make every element that gemm reads or writes,
        // (row + i, column + j) with i < rows, j < columns and inner index < k, lie inside its
        // slice. Parts write disjoint rows or disjoint columns of `out`, through raw pointers
        // only, while `out` is borrowed mutably; `a` and `b` cannot overlap it.
        unsafe {
            gemm::gemm(
                rows,
                columns,
                k,
                shared.pointer().offset(row as isize * out_rs + column as isize),
                1,
                out_rs,
                accumulate,
                a.data.as_ptr().offset(row as isize * a_rs),
                a_cs,
                a_rs,
                b.data.as_ptr().offset(column as isize * b_cs),
                b_cs,
                b_rs,
                1.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(len: usize, salt: u32) -> Vec<f32> {
        (0..len as u32)
            .map(|i| ((i.wrapping_mul(2_654_435_761) ^ salt) >> 24) as f32 / 64.0 - 2.0)
            .collect()
    }

    /// Against the definition in f64, for odd, zero and large shapes, both views, both modes.
    #[test]
    fn products_match_the_definition() {
        let shapes = [
            (0, 3, 4),
            (3, 0, 4),
            (3, 4, 0),
            (1, 1, 1),
            (5, 7, 3),
            (33, 17, 65),
            (130, 70, 257),
            (256, 130, 128),
            (20, 70, 1100),
        ];
        for (m, k, n) in shapes {
            for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
                let (a, b, c) = (fill(m * k, 1), fill(k * n, 2), fill(m * n, 3));
                let ma = if ta {
                    Matrix::new(&a, k, m).unwrap().t()
                } else {
                    Matrix::new(&a, m, k).unwrap()
                };
                let mb = if tb {
                    Matrix::new(&b, n, k).unwrap().t()
                } else {
                    Matrix::new(&b, k, n).unwrap()
                };
                for accumulate in [false, true] {
                    let mut out = c.clone();
                    assert!(product(&mut out, ma, mb, accumulate));
                    for i in 0..m {
                        for j in 0..n {
                            let exact: f64 = (0..k)
                                .map(|l| {
                                    let x = if ta { a[l * m + i] } else { a[i * k + l] };
                                    let y = if tb { b[j * k + l] } else { b[l * n + j] };
                                    f64::from(x) * f64::from(y)
                                })
                                .sum::<f64>()
                                + if accumulate { f64::from(c[i * n + j]) } else { 0.0 };
                            let got = f64::from(out[i * n + j]);
                            assert!((got - exact).abs() < 1e-3, "{m} {k} {n}: {got} {exact}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let a = fill(6, 1);
        assert!(Matrix::new(&a, 2, 4).is_none());
        let a = Matrix::new(&a, 2, 3).unwrap();
        assert!(!product(&mut [0.0; 4], a, a, false));
        assert!(!product(&mut [0.0; 3], a, a.t(), false));
    }
}
