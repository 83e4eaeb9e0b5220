//! The products of transformed tiles, a matrix for each of their points (see `tiles.rs`).

use super::tiles::{POINTS, Width, point_len, points_len};
use crate::narrow::Narrow;
use pulp::{Simd, WithSimd};

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
                // SAFETY: matrices of these sizes lie in the slices, checked above.
                unsafe {
                    let product = Narrow {
                        left: self.left.as_ptr().add(point * matrix),
                        apart: self.apart,
                        rows,
                        depth,
                        right: self.right.as_ptr().add(right),
                        right_row: width,
                        width,
                        out: self.out.as_mut_ptr().add(point * point_len(rows, padded) + first),
                        out_row: padded,
                        accumulate: self.accumulate,
                    };
                    product.run(simd);
                }
            }
        }
    }
}
