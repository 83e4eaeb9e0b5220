//! The product of a matrix of patches and another matrix.
//!
//! Element (i, j) of the matrix of patches is `x[rows[i] + columns[j]]`: in a forward pass a row is a
//! window and a column one of its places and channels; in the gradient of the kernel it is the other
//! way round. Reading it from the image costs no more than from memory in order, and nothing is copied.

use pulp::{Simd, WithSimd};
use std::mem::MaybeUninit;

/// Columns of the patches in one pass: their block of `b` then stays in the first cache.
const DEPTH: usize = 128;

/// `out[out_rows[i] + n] = sum_j x[rows[i] + columns[j]] b[j * b_stride + n]`, for `n < width`. Sums run
/// in the order of the columns.
pub(super) struct Product<'a> {
    pub x: &'a [f32],
    pub rows: &'a [usize],
    pub columns: &'a [usize],
    pub b: &'a [f32],
    pub b_stride: usize,
    pub width: usize,
    pub out_rows: &'a [usize],
}

/// What a sum starts from.
#[derive(Clone, Copy)]
enum Start<'a> {
    Zero,
    /// One for each `n`.
    Bias(&'a [f32]),
    /// What `out` holds.
    Out,
}

impl Product<'_> {
    /// Writes `width` values at each of `out_rows`, starting from `bias` (zeros if there is none).
    ///
    /// # Panics
    /// If something lies outside its slice.
    pub fn write(&self, out: &mut [MaybeUninit<f32>], bias: Option<&[f32]>, block: &mut Vec<f32>) {
        assert!(bias.is_none_or(|bias| bias.len() == self.width), "a bias does not fit");
        let start = bias.map_or(Start::Zero, Start::Bias);
        self.run(out, start, block);
    }

    /// Adds to the `width` values at each of `out_rows`.
    ///
    /// # Panics
    /// If something lies outside its slice.
    pub fn add(&self, out: &mut [f32], block: &mut Vec<f32>) {
        let len = out.len();
        // SAFETY: a slice of initialised values is one of values that may be; `run` writes values only.
        let out = unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast(), len) };
        self.run(out, Start::Out, block);
    }

    fn run(&self, out: &mut [MaybeUninit<f32>], start: Start<'_>, block: &mut Vec<f32>) {
        let largest = |offsets: &[usize]| offsets.iter().copied().max();
        let inside = |last: Option<usize>, len: usize| last.is_none_or(|last| last < len);
        let patches = largest(self.rows).zip(largest(self.columns));
        assert!(
            inside(patches.and_then(|(a, b)| a.checked_add(b)), self.x.len()),
            "patches do not fit"
        );
        let b = self.columns.len().checked_sub(1).map(|last| last * self.b_stride + self.width);
        assert!(b.is_none_or(|end| end <= self.b.len()), "a matrix does not fit");
        let end = largest(self.out_rows).and_then(|last| last.checked_add(self.width));
        assert!(end.is_none_or(|end| end <= out.len()), "a result does not fit");
        assert_eq!(self.rows.len(), self.out_rows.len());
        pulp::Arch::new().dispatch(Run {
            product: self,
            out: out.as_mut_ptr().cast(),
            start,
            block,
        });
    }
}

/// A checked product, for the widest vectors of this CPU.
struct Run<'a> {
    product: &'a Product<'a>,
    out: *mut f32,
    start: Start<'a>,
    block: &'a mut Vec<f32>,
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.product.width;
        let mut n = 0;
        while n < width {
            let vectors = (width - n).div_ceil(S::F32_LANES).min(2);
            let count = (vectors * S::F32_LANES).min(width - n);
            let (product, out, start) = (self.product, self.out, self.start);
            let panel = Panel { product, out, start, n, count };
            // As many sums as registers hold beside a row of `b` (with more than 16 compilers leave them in
            // memory). Tiles of five rows where those of eight would be filled badly: a kernel of 3 x 3
            // places of one channel has nine.
            let rows = self.product.rows.len();
            let tiles_of = |height: usize| rows.div_ceil(height) * height;
            match vectors {
                1 => panel.run::<S, 8, 1>(simd, self.block),
                _ if S::REGISTER_COUNT < 32 => panel.run::<S, 6, 2>(simd, self.block),
                _ if 4 * tiles_of(5) < 3 * tiles_of(8) => panel.run::<S, 5, 2>(simd, self.block),
                _ => panel.run::<S, 8, 2>(simd, self.block),
            }
            n += count;
        }
    }
}

/// The values `n..n + count` of each row of the result.
struct Panel<'a> {
    product: &'a Product<'a>,
    out: *mut f32,
    start: Start<'a>,
    n: usize,
    count: usize,
}

impl Panel<'_> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self, simd: S, block: &mut Vec<f32>) {
        let product = self.product;
        let full = VECTORS * S::F32_LANES;
        let mut start = self.start;
        if product.columns.is_empty() {
            self.tiles::<S, ROWS, VECTORS>(simd, &[], &[], full, start);
            return;
        }
        for (index, columns) in product.columns.chunks(DEPTH).enumerate() {
            let b = product.b.get(index * DEPTH * product.b_stride + self.n..).unwrap_or(&[]);
            if product.b_stride == full && self.count == full {
                self.tiles::<S, ROWS, VECTORS>(simd, columns, b, full, start);
            } else {
                // Rows of `b` one after the other, with zeros up to whole vectors.
                block.clear();
                block.resize(columns.len() * full, 0.0);
                for (to, from) in
                    block.chunks_exact_mut(full).zip(b.chunks(product.b_stride.max(1)))
                {
                    to[..self.count].copy_from_slice(&from[..self.count]);
                }
                self.tiles::<S, ROWS, VECTORS>(simd, columns, block, full, start);
            }
            start = Start::Out;
        }
    }

    /// All rows, in tiles. `b` has a row of whole vectors for each column.
    #[inline(always)]
    fn tiles<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        columns: &[usize],
        b: &[f32],
        full: usize,
        start: Start<'_>,
    ) {
        let product = self.product;
        let lanes = S::F32_LANES;
        assert!(columns.len() * full <= b.len());
        let first = match start {
            Start::Bias(bias) => {
                let bias = &bias[self.n..self.n + self.count];
                let vector = |v: usize| bias.get(v * lanes..).unwrap_or(&[]);
                std::array::from_fn(|v| {
                    simd.partial_load_f32s(&vector(v)[..vector(v).len().min(lanes)])
                })
            }
            _ => [simd.splat_f32s(0.0); VECTORS],
        };
        for (rows, out_rows) in product.rows.chunks(ROWS).zip(product.out_rows.chunks(ROWS)) {
            // The last tile repeats its last row, whose sums are then not kept.
            let last = rows.len() - 1;
            let rows: [usize; ROWS] = std::array::from_fn(|i| rows[i.min(last)]);
            let mut sums = [first; ROWS];
            if let Start::Out = start {
                for (sums, row) in sums.iter_mut().zip(out_rows) {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: `Product::run` checked that `width` values lie at each of `out_rows`,
                        // and they are initialised: they were given as such, or by an earlier block of
                        // columns. Nobody else has them: `out` is borrowed mutably.
                        let values = unsafe {
                            let at = self.out.add(row + self.n + v * lanes);
                            std::slice::from_raw_parts(at, lanes.min(self.count - v * lanes))
                        };
                        *sum = simd.partial_load_f32s(values);
                    }
                }
            }
            let mut b = b.as_ptr();
            let x = product.x.as_ptr();
            for column in columns {
                // SAFETY: a row of `VECTORS` whole vectors for each column, checked above; the sums of
                // any row and any column lie in `x`, checked by `Product::run`.
                unsafe {
                    let row: [S::f32s; VECTORS] = std::array::from_fn(|v| {
                        b.add(v * lanes).cast::<S::f32s>().read_unaligned()
                    });
                    for i in 0..ROWS {
                        let a = simd.splat_f32s(*x.add(rows[i] + column));
                        for v in 0..VECTORS {
                            sums[i][v] = simd.mul_add_e_f32s(a, row[v], sums[i][v]);
                        }
                    }
                    b = b.add(full);
                }
            }
            for (sums, row) in sums.iter().zip(out_rows) {
                for (v, sum) in sums.iter().enumerate() {
                    // SAFETY: as above; the values are written before they are read, by a pointer that
                    // only this call has.
                    unsafe {
                        let at = self.out.add(row + self.n + v * lanes);
                        if (v + 1) * lanes <= self.count {
                            at.cast::<S::f32s>().write_unaligned(*sum);
                        } else {
                            let sum: &[f32] = pulp::bytemuck::cast_slice(std::slice::from_ref(sum));
                            let count = self.count - v * lanes;
                            at.copy_from_nonoverlapping(sum.as_ptr(), count);
                        }
                    }
                }
            }
        }
    }
}
