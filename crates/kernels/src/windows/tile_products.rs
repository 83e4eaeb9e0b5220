//! The products of transformed tiles, a matrix for each of their points (see `tiles.rs`).

use super::tiles::{POINTS, Width, point_len, points_len};
use pulp::{Simd, WithSimd};

/// Columns of the left side in one pass: their rows of a panel then stay in the first cache.
const DEPTH: usize = 128;

/// `out[p, i, n] = sum_j left[p, i, j] right[p, j, n]` for each point p; added to what is there if `accumulate`.
/// Sums run in the order of j.
pub(super) struct Products<'a> {
    /// A matrix for each point, whose rows are `row` and columns `column` values apart.
    pub left: &'a [f32],
    pub apart: [usize; 2],
    pub rows: usize,
    pub depth: usize,
    /// `[panels, points, depth, width]`.
    pub right: &'a [f32],
    pub width: Width,
    /// `[points, rows, padded width]`.
    pub out: &'a mut [f32],
    pub accumulate: bool,
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (rows, depth, padded) = (self.rows, self.depth, self.width.padded());
        let full = 2 * S::F32_LANES;
        let matrix = self.left.len() / POINTS;
        let [row, column] = self.apart;
        assert!(rows > 0 && depth > 0 && (rows - 1) * row + (depth - 1) * column < matrix);
        assert!(padded.is_multiple_of(S::F32_LANES));
        assert!(self.right.len() == self.width.panels_len(depth));
        assert!(self.out.len() == points_len(rows, padded));
        for point in 0..POINTS {
            for (panel, first) in (0..padded).step_by(full).enumerate() {
                let width = (padded - first).min(full);
                let right = panel * points_len(depth, full) + point * point_len(depth, width);
                for from in (0..depth).step_by(DEPTH) {
                    // SAFETY: matrices of these sizes lie in the slices, checked above.
                    unsafe {
                        let block = Block {
                            left: self.left.as_ptr().add(point * matrix + from * column),
                            apart: self.apart,
                            rows,
                            depth: (depth - from).min(DEPTH),
                            right: self.right.as_ptr().add(right + from * width),
                            out: (self.out.as_mut_ptr())
                                .add(point * point_len(rows, padded) + first),
                            padded,
                            accumulate: self.accumulate || from > 0,
                        };
                        match width / S::F32_LANES {
                            1 => block.run::<S, 8, 1>(simd),
                            _ if S::REGISTER_COUNT < 32 => block.run::<S, 6, 2>(simd),
                            _ => block.run::<S, 8, 2>(simd),
                        }
                    }
                }
            }
        }
    }
}

/// Some columns of one product, and a panel of its results.
struct Block {
    left: *const f32,
    apart: [usize; 2],
    rows: usize,
    depth: usize,
    right: *const f32,
    out: *mut f32,
    padded: usize,
    accumulate: bool,
}

impl Block {
    /// # Safety
    /// The left side has `rows` rows and `depth` columns, the right one `depth` rows of `VECTORS` vectors;
    /// the result has `rows` rows, which nobody else has.
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self, simd: S) {
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
                let out = self.out.add(first * self.padded);
                if self.accumulate {
                    for (i, sums) in sums.iter_mut().enumerate().take(count) {
                        for (v, sum) in sums.iter_mut().enumerate() {
                            let at = out.add(i * self.padded + v * lanes);
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
                    right = right.wrapping_add(VECTORS * lanes);
                }
                for (i, sums) in sums.iter().enumerate().take(count) {
                    for (v, sum) in sums.iter().enumerate() {
                        let at = out.add(i * self.padded + v * lanes);
                        at.cast::<S::f32s>().write_unaligned(*sum);
                    }
                }
            }
        }
    }
}
