//! The transforms of tiles in Winograd's F(2 x 2, 3 x 3).
//!
//! Transformed tiles have 4 x 4 points, each a matrix by itself: `[points, tiles, channels]`, with channels filled
//! up to whole vectors. The right side of products is in panels of up to two vectors: `[panels, points, rows, width]`.

use pulp::{Simd, WithSimd};
use std::mem::MaybeUninit;

/// Points of a transformed tile: 4 x 4.
pub(super) const POINTS: usize = 16;
/// Values between the matrices of two points: matrices of a power of two of values would all begin in the same set of a
/// cache, which has fewer ways than a tile has points.
const GAP: usize = 16;

/// Values of a row, in whole vectors and panels of two of them.
#[derive(Clone, Copy)]
pub(super) struct Width {
    /// Values.
    pub len: usize,
    lanes: usize,
}

impl Width {
    /// For the widest vectors of this CPU.
    pub fn new(len: usize) -> Self {
        struct Lanes;
        impl WithSimd for Lanes {
            type Output = usize;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> usize {
                S::F32_LANES
            }
        }
        Self { len, lanes: pulp::Arch::new().dispatch(Lanes) }
    }

    /// Values in whole vectors.
    pub fn padded(&self) -> usize {
        self.len.next_multiple_of(self.lanes)
    }

    /// Values of a panel's row; the last may have fewer.
    pub fn panel(&self) -> usize {
        2 * self.lanes
    }

    /// Values of the `[points, rows, width]` of a panel; the last may have fewer.
    pub fn panel_len(&self, rows: usize) -> usize {
        points_len(rows, self.panel())
    }

    /// Values of all panels: `[panels, points, rows, width]`.
    pub fn panels_len(&self, rows: usize) -> usize {
        let (full, rest) = (self.padded() / self.panel(), self.padded() % self.panel());
        full * self.panel_len(rows) + if rest > 0 { points_len(rows, rest) } else { 0 }
    }
}

/// From the matrix of a point to that of the next.
pub(super) fn point_len(rows: usize, width: usize) -> usize {
    rows * width + GAP
}

/// Values of `[points, rows, width]`.
pub(super) fn points_len(rows: usize, width: usize) -> usize {
    POINTS * point_len(rows, width)
}

/// Where the values of one channel at the points of a tile lie, a row and a column apart. Those beyond `size`
/// are zero where they are read, and are not written.
#[derive(Clone, Copy)]
struct Grid {
    apart: [usize; 2],
    size: [usize; 2],
}

impl Grid {
    /// Points of a transformed tile that lie `apart`.
    fn points(apart: usize) -> Self {
        Self { apart: [4 * apart, apart], size: [4, 4] }
    }

    /// The first `count` channels of a vector, of each of N x N points.
    ///
    /// # Safety
    /// `count` values lie at each point within `size`, and those are no more than N x N.
    #[inline(always)]
    unsafe fn load<S: Simd, const N: usize>(
        self,
        simd: S,
        from: *const f32,
        count: usize,
    ) -> [[S::f32s; N]; N] {
        let mut values = [[simd.splat_f32s(0.0); N]; N];
        for (i, row) in values.iter_mut().enumerate().take(self.size[0]) {
            for (j, value) in row.iter_mut().enumerate().take(self.size[1]) {
                // SAFETY: as the caller says.
                unsafe {
                    let at = from.add(i * self.apart[0] + j * self.apart[1]);
                    *value = if count >= S::F32_LANES {
                        at.cast::<S::f32s>().read_unaligned()
                    } else {
                        simd.partial_load_f32s(std::slice::from_raw_parts(at, count))
                    };
                }
            }
        }
        values
    }

    /// Writes the first `count` channels of a vector at each point.
    ///
    /// # Safety
    /// As for `load`, and nobody else has the values.
    #[inline(always)]
    unsafe fn store<S: Simd, const N: usize>(
        self,
        to: *mut f32,
        values: [[S::f32s; N]; N],
        count: usize,
    ) {
        for (i, row) in values.iter().enumerate().take(self.size[0]) {
            for (j, value) in row.iter().enumerate().take(self.size[1]) {
                // SAFETY: as the caller says.
                unsafe {
                    let at = to.add(i * self.apart[0] + j * self.apart[1]);
                    if count >= S::F32_LANES {
                        at.cast::<S::f32s>().write_unaligned(*value);
                    } else {
                        let value: &[f32] = pulp::bytemuck::cast_slice(std::slice::from_ref(value));
                        at.copy_from_nonoverlapping(value.as_ptr(), count);
                    }
                }
            }
        }
    }
}

/// `F d F'` where `f` is the product of F and a column.
#[inline(always)]
fn both_sides<V: Copy, const I: usize, const O: usize>(
    d: [[V; I]; I],
    f: impl Fn([V; I]) -> [V; O],
) -> [[V; O]; O] {
    let columns: [[V; O]; I] = std::array::from_fn(
        #[inline(always)]
        |j| {
            f(std::array::from_fn(
                #[inline(always)]
                |i| d[i][j],
            ))
        },
    );
    std::array::from_fn(
        #[inline(always)]
        |o| {
            f(std::array::from_fn(
                #[inline(always)]
                |j| columns[j][o],
            ))
        },
    )
}

/// `G w G'` of kernels `[3, 3, channels, filters]`: one panel of filters, from `first` on.
pub(super) struct TransformKernel<'a> {
    pub kernel: &'a [f32],
    pub channels: usize,
    pub filters: usize,
    pub first: usize,
    pub width: usize,
    /// `[points, channels, width]`.
    pub panel: &'a mut [f32],
}

impl WithSimd for TransformKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { kernel, channels, filters, first, width, panel } = self;
        assert!(kernel.len() == 9 * channels * filters && width.is_multiple_of(S::F32_LANES));
        assert!(panel.len() == points_len(channels, width));
        let from = Grid { apart: [3 * channels * filters, channels * filters], size: [3, 3] };
        let half = simd.splat_f32s(0.5);
        for channel in 0..channels {
            for n in (0..width.min(filters - first)).step_by(S::F32_LANES) {
                let count = filters - first - n;
                // SAFETY: `count` filters of a channel from `first + n` on lie at each of the nine places
                // of the kernel, and the panel has a row of whole vectors for each point and channel:
                // checked above.
                unsafe {
                    let at = kernel.as_ptr().add(channel * filters + first + n);
                    let points = both_sides::<_, 3, 4>(
                        from.load(simd, at, count),
                        #[inline(always)]
                        |[a, b, c]| {
                            let outer = simd.mul_f32s(simd.add_f32s(a, c), half);
                            let inner = simd.mul_f32s(b, half);
                            [a, simd.add_f32s(outer, inner), simd.sub_f32s(outer, inner), c]
                        },
                    );
                    let to = panel.as_mut_ptr().add(channel * width + n);
                    Grid::points(point_len(channels, width)).store::<S, 4>(
                        to,
                        points,
                        S::F32_LANES,
                    );
                }
            }
        }
    }
}

/// `G' s G` of sums `[points, channels, padded filters]`: the gradient of the kernel.
pub(super) struct KernelGradient<'a> {
    pub sums: &'a [f32],
    pub channels: usize,
    pub filters: Width,
    pub dw: &'a mut [f32],
    pub accumulate: bool,
}

impl WithSimd for KernelGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { sums, channels, filters, dw, accumulate } = self;
        let (padded, filters) = (filters.padded(), filters.len);
        assert!(sums.len() == points_len(channels, padded) && padded.is_multiple_of(S::F32_LANES));
        assert!(dw.len() == 9 * channels * filters);
        let to = Grid { apart: [3 * channels * filters, channels * filters], size: [3, 3] };
        let half = simd.splat_f32s(0.5);
        for channel in 0..channels {
            for n in (0..filters).step_by(S::F32_LANES) {
                // SAFETY: the lengths are checked above: a vector at each point, `filters - n` values at
                // each place.
                unsafe {
                    let at = sums.as_ptr().add(channel * padded + n);
                    let from = Grid::points(point_len(channels, padded));
                    let points = from.load(simd, at, S::F32_LANES);
                    let mut own = both_sides::<_, 4, 3>(
                        points,
                        #[inline(always)]
                        |[a, b, c, d]| {
                            let sum = simd.mul_f32s(simd.add_f32s(b, c), half);
                            let difference = simd.mul_f32s(simd.sub_f32s(b, c), half);
                            [simd.add_f32s(a, sum), difference, simd.add_f32s(sum, d)]
                        },
                    );
                    let at = dw.as_mut_ptr().add(channel * filters + n);
                    if accumulate {
                        let before = to.load::<S, 3>(simd, at, filters - n);
                        for (own, before) in own.iter_mut().zip(before) {
                            for (own, before) in own.iter_mut().zip(before) {
                                *own = simd.add_f32s(*own, before);
                            }
                        }
                    }
                    to.store::<S, 3>(at, own, filters - n);
                }
            }
        }
    }
}

/// `B' x B` of tiles that begin two rows and columns apart.
pub(super) struct TransformInput<'a> {
    /// `[rows, columns, channels]`.
    pub x: &'a [f32],
    pub size: [usize; 2],
    pub channels: Width,
    /// Where the first tile begins, counted from `pad` rows and columns of zeros before `x`.
    pub first: usize,
    pub pad: [usize; 2],
    pub tiles: [usize; 2],
    /// `[points, tiles, padded channels]`.
    pub out: &'a mut [f32],
}

impl WithSimd for TransformInput<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, size: [rows, columns], channels, first, pad, tiles: [down, across], out } =
            self;
        let (padded, channels) = (channels.padded(), channels.len);
        let tiles = down * across;
        assert!(out.len() == points_len(tiles, padded) && padded.is_multiple_of(S::F32_LANES));
        assert!(x.len() == rows * columns * channels);
        let from = Grid { apart: [columns * channels, channels], size: [4, 4] };
        let to = Grid::points(point_len(tiles, padded));
        for i in 0..down {
            let row = first + 2 * i;
            let rows_inside = row >= pad[0] && row - pad[0] + 4 <= rows;
            for j in 0..across {
                let (tile, column) = (i * across + j, 2 * j);
                let inside = rows_inside && column >= pad[1] && column - pad[1] + 4 <= columns;
                for c in (0..channels).step_by(S::F32_LANES) {
                    // SAFETY: 4 x 4 places from that of the tile on lie in `x`, or those that do are read; each
                    // has `channels - c` values from `c` on, and each point a row of whole vectors for a tile:
                    // checked above.
                    unsafe {
                        let values: [[S::f32s; 4]; 4] = if inside {
                            let place = (row - pad[0]) * columns + column - pad[1];
                            from.load(simd, x.as_ptr().add(place * channels + c), channels - c)
                        } else {
                            let mut values = [[simd.splat_f32s(0.0); 4]; 4];
                            for (a, values) in values.iter_mut().enumerate() {
                                for (b, value) in values.iter_mut().enumerate() {
                                    let at = [row + a, column + b];
                                    let is =
                                        |i: usize, len| (pad[i]..pad[i] + len).contains(&at[i]);
                                    if is(0, rows) && is(1, columns) {
                                        let place = (at[0] - pad[0]) * columns + at[1] - pad[1];
                                        let at = x.as_ptr().add(place * channels + c);
                                        let one = Grid { apart: [0, 0], size: [1, 1] };
                                        *value = one.load::<S, 1>(simd, at, channels - c)[0][0];
                                    }
                                }
                            }
                            values
                        };
                        let points = both_sides::<_, 4, 4>(
                            values,
                            #[inline(always)]
                            |[a, b, c, d]| {
                                [
                                    simd.sub_f32s(a, c),
                                    simd.add_f32s(b, c),
                                    simd.sub_f32s(c, b),
                                    simd.sub_f32s(b, d),
                                ]
                            },
                        );
                        let at = out.as_mut_ptr().add(tile * padded + c);
                        to.store::<S, 4>(at, points, S::F32_LANES);
                    }
                }
            }
        }
    }
}

/// `A dy A'` of tiles of 2 x 2 places.
pub(super) struct TransformGradient<'a> {
    /// `[rows, columns, filters]`.
    pub dy: &'a [f32],
    pub size: [usize; 2],
    pub filters: Width,
    /// `[panels, points, tiles, width]`.
    pub out: &'a mut [f32],
}

impl WithSimd for TransformGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { dy, size, filters: widths, out } = self;
        let (padded, filters) = (widths.padded(), widths.len);
        let [down, across] = size.map(|length| length.div_ceil(2));
        let tiles = down * across;
        let full = 2 * S::F32_LANES;
        assert!(padded.is_multiple_of(S::F32_LANES));
        assert!(out.len() == widths.panels_len(tiles));
        assert!(dy.len() == size[0] * size[1] * filters);
        for i in 0..down {
            for j in 0..across {
                let (tile, place) = (i * across + j, [2 * i, 2 * j]);

                let from = Grid {
                    apart: [size[1] * filters, filters],
                    size: [size[0] - place[0], size[1] - place[1]],
                };
                let at = (place[0] * size[1] + place[1]) * filters;
                for n in (0..filters).step_by(S::F32_LANES) {
                    let width = (padded - n / full * full).min(full);
                    // SAFETY: the places of the tile within `size` lie in `dy`, and a panel has a row of
                    // whole vectors for each point and tile: checked above.
                    unsafe {
                        let values = from.load(simd, dy.as_ptr().add(at + n), filters - n);
                        let points = both_sides::<_, 2, 4>(
                            values,
                            #[inline(always)]
                            |[a, b]| {
                                [a, simd.add_f32s(a, b), simd.sub_f32s(a, b), simd.neg_f32s(b)]
                            },
                        );
                        let at = n / full * points_len(tiles, full) + tile * width + n % full;
                        let to = Grid::points(point_len(tiles, width));
                        to.store::<S, 4>(out.as_mut_ptr().add(at), points, S::F32_LANES);
                    }
                }
            }
        }
    }
}

/// `A' m A + bias` of tiles, written to their 2 x 2 places.
pub(super) struct TransformOutput<'a> {
    /// `[points, tiles, padded filters]`.
    pub points: &'a [f32],
    /// One value for each of the padded filters.
    pub bias: &'a [f32],
    pub filters: Width,
    pub size: [usize; 2],
    /// `[rows, columns, filters]`; all of it is written.
    pub out: &'a mut [MaybeUninit<f32>],
}

impl WithSimd for TransformOutput<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { points, bias, filters, size, out } = self;
        let (padded, filters) = (filters.padded(), filters.len);
        let [down, across] = size.map(|length| length.div_ceil(2));
        let tiles = down * across;
        assert!(points.len() == points_len(tiles, padded) && padded.is_multiple_of(S::F32_LANES));
        assert!(bias.len() == padded && out.len() == size[0] * size[1] * filters);
        for i in 0..down {
            for j in 0..across {
                let (tile, place) = (i * across + j, [2 * i, 2 * j]);

                let to = Grid {
                    apart: [size[1] * filters, filters],
                    size: [size[0] - place[0], size[1] - place[1]],
                };
                let at = (place[0] * size[1] + place[1]) * filters;
                for n in (0..filters).step_by(S::F32_LANES) {
                    // SAFETY: each point has a row of whole vectors for a tile, and the places of the tile
                    // within `size` lie in `out`, each with `filters - n` values from `n` on: checked
                    // above.
                    unsafe {
                        let from = points.as_ptr().add(tile * padded + n);
                        let grid = Grid::points(point_len(tiles, padded));
                        let values = grid.load(simd, from, S::F32_LANES);
                        let mut values = both_sides::<_, 4, 2>(
                            values,
                            #[inline(always)]
                            |[a, b, c, d]| {
                                let (sum, difference) = (simd.add_f32s(b, c), simd.sub_f32s(b, c));
                                [simd.add_f32s(a, sum), simd.sub_f32s(difference, d)]
                            },
                        );
                        let bias = bias.as_ptr().add(n).cast::<S::f32s>().read_unaligned();
                        for value in values.as_flattened_mut() {
                            *value = simd.add_f32s(*value, bias);
                        }
                        to.store::<S, 2>(
                            out.as_mut_ptr().cast::<f32>().add(at + n),
                            values,
                            filters - n,
                        );
                    }
                }
            }
        }
    }
}
