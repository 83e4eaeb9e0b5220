//! Products whose results are one or two vectors wide, or cut into such columns: tiles of rows whose sums stay in
//! registers, and nothing is packed.

use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Columns of the left side in one pass: their rows of the right side then stay in the first cache.
const DEPTH: usize = 128;
/// Widths of whole vectors on every CPU.
const VECTOR: usize = 16;

/// Whether [`Narrow`] takes less time than a product that packs its sides.
pub(crate) fn is_narrow(width: usize) -> bool {
    width == VECTOR || width == 2 * VECTOR
}

/// `out[i, n] = sum_j left[i, j] right[j, n]`, added to what is there if `accumulate`. Sums run in the order of j.
pub(crate) struct Narrow {
    pub left: *const f32,
    /// From a row of the left side to the next, and from a column.
    pub apart: [usize; 2],
    pub rows: usize,
    pub depth: usize,
    pub right: *const f32,
    /// From a row of the right side to the next.
    pub right_row: usize,
    /// Values of a row, in whole vectors.
    pub width: usize,
    pub out: *mut f32,
    /// From a row of the results to the next.
    pub out_row: usize,
    pub accumulate: bool,
}

impl WithSimd for Narrow {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // SAFETY: whoever made it answers for that.
        unsafe { self.run(simd) }
    }
}

impl Narrow {
    /// # Safety
    /// The left side has `rows` rows and `depth` columns, of which there is at least one, the right one `depth` rows of
    /// `width` values; the result has `rows` rows, which nobody else has, and which hold values if `accumulate`.
    #[inline(always)]
    pub unsafe fn run<S: Simd>(&self, simd: S) {
        let full = 2 * S::F32_LANES;
        for first in (0..self.width).step_by(full) {
            for from in (0..self.depth).step_by(DEPTH) {
                let columns = from..(from + DEPTH).min(self.depth);
                // SAFETY: some columns of either side; as the caller says.
                unsafe {
                    match (self.width - first).min(full) / S::F32_LANES {
                        1 => self.tiles::<S, 8, 1>(simd, first, columns),
                        _ if S::REGISTER_COUNT < 32 => self.tiles::<S, 6, 2>(simd, first, columns),
                        _ => self.tiles::<S, 8, 2>(simd, first, columns),
                    }
                }
            }
        }
    }

    /// The results from `first` on, in `VECTORS` vectors, of some columns of the left side.
    ///
    /// # Safety
    /// As for `run`; there are so many results and columns.
    #[inline(always)]
    unsafe fn tiles<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        first: usize,
        columns: Range<usize>,
    ) {
        let lanes = S::F32_LANES;
        let [row, column] = self.apart;
        let accumulate = self.accumulate || columns.start > 0;
        for top in (0..self.rows).step_by(ROWS) {
            // The last tile repeats its last row, whose sums are then not kept.
            let count = (self.rows - top).min(ROWS);
            let rows: [usize; ROWS] = std::array::from_fn(
                #[inline(always)]
                |i| (top + i.min(count - 1)) * row,
            );
            // SAFETY: as the caller says.
            unsafe {
                let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
                let mut left = self.left.add(columns.start * column);
                let mut right = self.right.add(columns.start * self.right_row + first);
                for _ in columns.clone() {
                    let vectors: [S::f32s; VECTORS] = std::array::from_fn(
                        #[inline(always)]
                        |v| right.add(v * lanes).cast::<S::f32s>().read_unaligned(),
                    );
                    for i in 0..ROWS {
                        let value = simd.splat_f32s(*left.add(rows[i]));
                        for v in 0..VECTORS {
                            sums[i][v] = simd.mul_add_e_f32s(value, vectors[v], sums[i][v]);
                        }
                    }
                    // Beyond the last column these point nowhere and are not read.
                    left = left.wrapping_add(column);
                    right = right.wrapping_add(self.right_row);
                }
                for (i, sums) in sums.iter().enumerate().take(count) {
                    for (v, sum) in sums.iter().enumerate() {
                        let at = self.out.add((top + i) * self.out_row + first + v * lanes);
                        let at = at.cast::<S::f32s>();
                        let value = match accumulate {
                            true => simd.add_f32s(at.read_unaligned(), *sum),
                            false => *sum,
                        };
                        at.write_unaligned(value);
                    }
                }
            }
        }
    }
}
