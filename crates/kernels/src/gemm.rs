//! Matrix products on slices: `gemm` (candle's own), cut by shape and run on candle's pool.

use super::narrow::{Narrow, is_narrow};
use super::threads::{CHUNK, Shared, for_parts, for_rows, parallel};
use super::zeros;
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

    /// Some of the columns. Returns `None` if it does not have them.
    pub fn column_range(self, range: Range<usize>) -> Option<Self> {
        let has = range.start <= range.end && range.end <= self.columns;
        has.then(|| self.part_of_columns(range.start, range.len()))
    }

    /// The transposed view.
    pub fn t(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }

    /// Some of its rows. Beyond its end there are none.
    fn part_of_rows(self, start: usize, count: usize) -> Self {
        let start = start.min(self.rows);
        let distance = if self.transposed { 1 } else { self.stride };
        let data = self.data.get(start * distance..).unwrap_or(&[]);
        Self { data, rows: count.min(self.rows - start), ..self }
    }

    /// Some of its columns, likewise.
    fn part_of_columns(self, start: usize, count: usize) -> Self {
        self.t().part_of_rows(start, count).t()
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
    let shared = Shared::new(out);
    parallel(parts, |part| {
        let start = part * step;
        let count = step.min(long - start);
        let (rows, columns, row, column) =
            if by_rows { (count, n, start, 0) } else { (m, count, 0, start) };
        // SAFETY: the check above makes the part of `out`, which is borrowed mutably, `rows x columns` values at
        // `out_rs` a row, within its bounds; parts are disjoint rows or disjoint columns.
        unsafe {
            let to = shared.pointer().add(row * n + column);
            multiply(
                to,
                n,
                a.part_of_rows(row, rows),
                b.part_of_columns(column, columns),
                accumulate,
            );
        }
    });
    true
}

/// `a b` in a new vector, of which `finish(rows)` changes whole rows, some at a time, while they are in the
/// cache. As [`product`], the bits do not depend on the number of threads.
///
/// Returns `None` if the shapes do not fit.
pub fn product_rows(
    a: Matrix<'_>,
    b: Matrix<'_>,
    finish: impl Fn(&mut [f32]) + Sync,
) -> Option<Vec<f32>> {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    let len = m.checked_mul(n).filter(|_| b.rows == k)?;
    let operations = 2usize.saturating_mul(len).saturating_mul(k);
    // Where the right side is large, copying it for many parts would take longer than the cache saves.
    let small = k.saturating_mul(n) <= 1 << 16;
    if k == 0 || len == 0 || m < n || (operations >= SERIAL && !small) {
        let mut out = zeros(len);
        let fits = product(&mut out, a, b, false);
        for_rows(&mut out, n, |_, rows| finish(rows));
        return fits.then_some(out);
    }
    let at_once = (CHUNK / n).max(1);
    let step = if operations < SERIAL { m } else { at_once.next_multiple_of(32) };
    let mut out: Vec<f32> = Vec::with_capacity(len);
    for_parts(&mut out.spare_capacity_mut()[..len], step * n, |start, part| {
        let (row, rows) = (start / n, part.len() / n);
        // SAFETY: the part is `rows` whole rows of `n` places, which the product, since it does not accumulate,
        // writes and does not read (`k` is not 0).
        let part = unsafe {
            multiply(part.as_mut_ptr().cast(), n, a.part_of_rows(row, rows), b, false);
            part.assume_init_mut()
        };
        part.chunks_mut(at_once * n).for_each(&finish);
    });
    // SAFETY: the parts are the first `len` places of the capacity, all written.
    unsafe { out.set_len(len) };
    Some(out)
}

/// `out = a b`, or `out += a b`, of rows `stride` apart.
///
/// # Safety
/// `a` has as many columns as `b` has rows; `out` has room for the result, which nobody else reads or
/// writes meanwhile, and holds values if `accumulate`.
unsafe fn multiply(out: *mut f32, stride: usize, a: Matrix<'_>, b: Matrix<'_>, accumulate: bool) {
    let ((a_cs, a_rs), (b_cs, b_rs)) = (a.strides(), b.strides());
    if is_narrow(b.columns) && b_cs == 1 && a.columns > 0 {
        // The requirements of `Narrow::run` are those below.
        return pulp::Arch::new().dispatch(Narrow {
            left: a.data.as_ptr(),
            apart: [a_rs as usize, a_cs as usize],
            rows: a.rows,
            depth: a.columns,
            right: b.data.as_ptr(),
            right_row: b_rs as usize,
            width: b.columns,
            out,
            out_row: stride,
            accumulate,
        });
    }
    // SAFETY: `Matrix::new`, `column_range` and the parts of matrices make every element that gemm reads of
    // `a` and `b` lie inside their slices; the caller answers for `out`, which no `&[f32]` can overlap.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out,
            1,
            stride as isize,
            accumulate,
            a.data.as_ptr(),
            a_cs,
            a_rs,
            b.data.as_ptr(),
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
            (9, 300, 16),
            (300, 140, 32),
            (3, 0, 16),
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

    /// Whole rows are finished once each, wherever the product is cut.
    #[test]
    fn rows_are_finished_once() {
        let large = if cfg!(miri) { 70 } else { 9000 };
        for (m, k, n) in [
            (0, 3, 4),
            (3, 0, 4),
            (3, 4, 0),
            (5, 7, 3),
            (2, 3, 9),
            (large, 20, 11),
            (300, 300, 290),
        ] {
            let (a, b) = (fill(m * k, 1), fill(k * n, 2));
            let (a, b) = (Matrix::new(&a, m, k).unwrap(), Matrix::new(&b, k, n).unwrap());
            let out = product_rows(a, b, |rows| {
                assert_eq!(rows.len() % n, 0);
                for row in rows.chunks_exact_mut(n) {
                    row.iter_mut().enumerate().for_each(|(j, value)| *value += j as f32);
                }
            });
            let mut right: Vec<f32> = vec![0.0; m * n];
            assert!(product(&mut right, a, b, false));
            for row in right.chunks_exact_mut(n.max(1)) {
                row.iter_mut().enumerate().for_each(|(j, value)| *value += j as f32);
            }
            let out = out.unwrap();
            assert_eq!(out.len(), right.len());
            assert!(out.iter().zip(&right).all(|(a, b)| (a - b).abs() < 1e-3), "{m} {k} {n}");
            assert!(product_rows(b, b.t().t(), |_| {}).is_none() || k == n);
        }
    }

    #[test]
    fn columns_are_cut_out() {
        let (a, b) = (fill(6, 1), fill(12, 2));
        let (a, b) = (Matrix::new(&a, 2, 3).unwrap(), Matrix::new(&b, 3, 4).unwrap());
        let (mut whole, mut part) = ([0.0; 8], [0.0; 4]);
        assert!(product(&mut whole, a, b, false));
        assert!(product(&mut part, a, b.column_range(1..3).unwrap(), false));
        assert_eq!(part, [whole[1], whole[2], whole[5], whole[6]]);
        assert!(b.column_range(3..5).is_none() && b.t().column_range(1..3).is_some());
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
