//! Products whose results are one or two vectors wide, or cut into such columns: tiles of rows whose sums stay in
//! registers, and nothing is packed.

use pulp::{Simd, WithSimd};

/// Columns of the left side in one pass: their rows of the right side then stay in the first cache.
pub(crate) const DEPTH: usize = 128;
/// Widths of whole vectors on every CPU.
const VECTOR: usize = 16;

/// Whether [`Narrow`] takes less time than a product that packs its sides.
pub(crate) fn is_narrow(width: usize) -> bool {
    width == VECTOR || width == 2 * VECTOR
}

/// `out[i, n] = sum_j left[i, j] right[j, n]`, added to what is there if `accumulate`.
pub(crate) struct Narrow {
    pub left: *const f32,
    /// From a row of the left side to the next, and from a column.
    pub apart: [usize; 2],
    pub rows: usize,
    pub depth: usize,
    pub right: *const f32,
    pub right_row: usize,
    /// Values of a row, as [`is_narrow`].
    pub width: usize,
    pub out: *mut f32,
    pub out_row: usize,
    pub accumulate: bool,
}

impl Narrow {
    /// # Safety
    /// The left side has `rows` rows and `depth` columns, of which there is at least one, the right one `depth` rows of
    /// `width` values; the result has `rows` rows, which nobody else has, and which hold values if `accumulate`.
    pub unsafe fn run(self) {
        debug_assert!(is_narrow(self.width) && self.depth > 0);
        pulp::Arch::new().dispatch(self);
    }
}

impl WithSimd for Narrow {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let full = 2 * S::F32_LANES;
        for first in (0..self.width).step_by(full) {
            for from in (0..self.depth).step_by(DEPTH) {
                // SAFETY: columns of the right side and of the results, for which the caller of `run` answers.
                unsafe {
                    let block = Block {
                        left: self.left.add(from * self.apart[1]),
                        apart: self.apart,
                        rows: self.rows,
                        depth: (self.depth - from).min(DEPTH),
                        right: self.right.add(from * self.right_row + first),
                        right_row: self.right_row,
                        out: self.out.add(first),
                        out_row: self.out_row,
                        accumulate: self.accumulate || from > 0,
                    };
                    block.run(simd, (self.width - first).min(full) / S::F32_LANES);
                }
            }
        }
    }
}

/// Some columns of a product, and one or two vectors of each row of its results.
pub(crate) struct Block {
    pub left: *const f32,
    pub apart: [usize; 2],
    pub rows: usize,
    pub depth: usize,
    pub right: *const f32,
    /// From a row of the right side to the next.
    pub right_row: usize,
    pub out: *mut f32,
    /// From a row of the results to the next.
    pub out_row: usize,
    pub accumulate: bool,
}

impl Block {
    /// Sums run in the order of the columns.
    ///
    /// # Safety
    /// The left side has `rows` rows and `depth` columns, the right one `depth` rows of `vectors` vectors, which are
    /// one or two; the result has `rows` rows, which nobody else has, and which hold values if `accumulate`.
    #[inline(always)]
    pub unsafe fn run<S: Simd>(self, simd: S, vectors: usize) {
        // SAFETY: as the caller says.
        unsafe {
            match vectors {
                1 => self.tiles::<S, 8, 1>(simd),
                _ if S::REGISTER_COUNT < 32 => self.tiles::<S, 6, 2>(simd),
                _ => self.tiles::<S, 8, 2>(simd),
            }
        }
    }

    /// # Safety
    /// As for `run`, of `VECTORS` vectors.
    #[inline(always)]
    unsafe fn tiles<S: Simd, const ROWS: usize, const VECTORS: usize>(self, simd: S) {
        let lanes = S::F32_LANES;
        let [row, column] = self.apart;
        for first in (0..self.rows).step_by(ROWS) {
            // The last tile repeats its last row, whose sums are then not kept.
            let count = (self.rows - first).min(ROWS);
            let rows: [usize; ROWS] = std::array::from_fn(
                #[inline(always)]
                |i| (first + i.min(count - 1)) * row,
            );
            // SAFETY: as the caller says.
            unsafe {
                let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
                let out = self.out.add(first * self.out_row);
                if self.accumulate {
                    for (i, sums) in sums.iter_mut().enumerate().take(count) {
                        for (v, sum) in sums.iter_mut().enumerate() {
                            let at = out.add(i * self.out_row + v * lanes);
                            *sum = at.cast::<S::f32s>().read_unaligned();
                        }
                    }
                }
                let (mut left, mut right) = (self.left, self.right);
                for _ in 0..self.depth {
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
                        let at = out.add(i * self.out_row + v * lanes);
                        at.cast::<S::f32s>().write_unaligned(*sum);
                    }
                }
            }
        }
    }
}
