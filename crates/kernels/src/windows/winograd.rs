//! Convolution of 3 x 3 places with stride 1 by Winograd's F(2 x 2, 3 x 3) (Lavin and Gray, "Fast Algorithms for
//! Convolutional Neural Networks", 2016): tiles of 2 x 2 results from 4 x 4 values with 16 multiplications for a
//! channel and a filter instead of 36.
//!
//! `y = A' [(G w G') * (B' x B)] A` for each tile, where `*` is by element and summed over channels. Of the
//! gradients, that of x is the convolution of dy with the kernel flipped, and that of w is
//! `G' [(A dy A') * (B' x B)] G`, summed over tiles.
//!
//! The transforms have only the factors 1, -1 and 1/2: results differ from those of the sum as written by a few
//! roundings of the largest value of a tile. A value that is not finite makes the results of its tiles not a number.

use super::bands::{Bands, Finish, Scratch, add_private, aligned, by_bands, private_sums};
use super::convolution::{Operand, add_rows};
use super::geometry::{Axis, Source};
use super::tile_products::Products;
use super::tiles::{
    KernelGradient, TransformGradient, TransformInput, TransformKernel, TransformOutput, Width,
    points_len,
};
use crate::build_parts;
use crate::threads::for_parts;
use pulp::Arch;
use std::ops::Range;

/// Values of all transformed tiles of a band, so that they stay in the second cache.
const BAND: usize = 32 * 1024;
/// Channels or filters below which the transforms take longer than they save.
const FEWEST: usize = 16;
/// Multiplications of a private gradient of the kernel.
const WORK: usize = 16_000_000;

/// Shapes: x `[images, input.., channels]`, kernel `[3, 3, channels, filters]`, y `[images, output.., filters]`.
#[derive(Clone, Copy)]
pub(super) struct Winograd {
    images: usize,
    input: [usize; 2],
    output: [usize; 2],
    pad: [usize; 2],
    channels: usize,
    filters: usize,
}

impl Winograd {
    /// `None` where the sum as written is used: other windows, few channels, or results that fill few tiles.
    pub fn new(axes: &[Axis; 3], images: usize, channels: usize, filters: usize) -> Option<Self> {
        let [rows, one, columns] = axes;
        let fits = |axis: &Axis| {
            axis.kernel == 3 && axis.stride == 1 && axis.dilation == 1 && axis.pad <= 2
        };
        let tiles = rows.output.div_ceil(2) * columns.output.div_ceil(2);
        // In multiplications by a third; the transforms take time too.
        let saves = 3 * 16 * tiles < 2 * 9 * rows.output * columns.output;
        let plain = [one.input, one.output, one.kernel, one.pad] == [1, 1, 1, 0];
        let wide = channels >= FEWEST && filters >= FEWEST;
        (fits(rows) && fits(columns) && plain && saves && wide).then_some(Self {
            images,
            input: [rows.input, columns.input],
            output: [rows.output, columns.output],
            pad: [rows.pad, columns.pad],
            channels,
            filters,
        })
    }

    /// The convolution from y to x, of the kernel flipped.
    fn reversed(&self) -> Self {
        Self {
            images: self.images,
            input: self.output,
            output: self.input,
            pad: self.pad.map(|pad| 2 - pad),
            channels: self.filters,
            filters: self.channels,
        }
    }

    /// Rows of results, in bands of whole tiles.
    fn bands(&self) -> Bands {
        let [rows, columns] = self.output;
        let row = 16 * columns.div_ceil(2) * (self.channels + self.filters);
        Bands { images: self.images, rows, height: (2 * (BAND / row).max(1)).min(rows) }
    }

    /// Transformed values of some rows of results.
    fn points_len(&self, rows: &Range<usize>) -> usize {
        let tiles = rows.len().div_ceil(2) * self.output[1].div_ceil(2);
        points_len(tiles, Width::new(self.channels).padded())
    }

    /// The tiles of some rows of results, of an image of `x`, transformed: `[points, tiles, padded channels]`.
    fn transform(&self, x: &Operand<'_>, image: usize, rows: &Range<usize>, scratch: &mut Scratch) {
        let tiles = [rows.len().div_ceil(2), self.output[1].div_ceil(2)];
        let [height, width] = self.input;
        let len = height * width * self.channels;
        let channels = Width::new(self.channels);
        let out = aligned(&mut scratch.block, self.points_len(rows));
        if x.change.is_none() {
            let (x, size, pad) = (&x.values[image * len..][..len], self.input, self.pad);
            let first = rows.start;
            Arch::new().dispatch(TransformInput { x, size, channels, first, pad, tiles, out });
            return;
        }
        // Changed values are read four times: from a copy.
        let source = Source {
            input: [height, 1, width],
            before: [self.pad[0], 0, self.pad[1]],
            first: rows.start,
            padded: [2 * tiles[0] + 2, 1, 2 * tiles[1] + 2],
        };
        let (x, [rows, _, columns]) =
            x.rows(&source, image * len, self.channels, &mut scratch.padded);
        let (size, first, pad) = ([rows, columns], 0, [0; 2]);
        Arch::new().dispatch(TransformInput { x, size, channels, first, pad, tiles, out });
    }

    /// `finish(x * kernel + bias)`.
    pub fn forward(
        &self,
        x: &Operand<'_>,
        kernel: &[f32],
        bias: Option<&[f32]>,
        finish: &Finish<'_>,
    ) -> Vec<f32> {
        let (channels, filters) = (Width::new(self.channels), Width::new(self.filters));
        let (all, own) = (filters.panels_len(self.channels), filters.panel_len(self.channels));
        let kernel = build_parts(all, own, |start, panel| {
            let first = start / own * filters.panel();
            Arch::new().dispatch(TransformKernel {
                kernel,
                channels: self.channels,
                filters: self.filters,
                first,
                width: filters.panel().min(filters.padded() - first),
                panel,
            });
        });
        let mut padded_bias = bias.unwrap_or_default().to_vec();
        padded_bias.resize(filters.padded(), 0.0);
        let body = |image: usize, rows: Range<usize>, out: &mut [_], scratch: &mut Scratch| {
            self.transform(x, image, &rows, scratch);
            let size = [rows.len(), self.output[1]];
            let tiles = size.map(|length| length.div_ceil(2)).iter().product();
            let points = aligned(&mut scratch.tiles, points_len(tiles, filters.padded()));
            Arch::new().dispatch(Products {
                left: aligned(&mut scratch.block, self.points_len(&rows)),
                apart: [channels.padded(), 1],
                rows: tiles,
                depth: self.channels,
                right: &kernel,
                width: filters,
                out: points,
                accumulate: false,
            });
            let bias = &padded_bias;
            Arch::new().dispatch(TransformOutput { points, bias, filters, size, out });
        };
        let row = self.output[1];
        let work = 9 * row * self.channels * self.filters;
        // SAFETY: the tiles of a band cover its rows, and all filters of their places are written.
        unsafe { by_bands(&self.bands(), row * self.filters, work, finish, body) }
    }

    /// The gradient of x, plus `bias`, finished.
    pub fn backward_input(
        &self,
        dy: &Operand<'_>,
        kernel: &[f32],
        bias: Option<&[f32]>,
        finish: &Finish<'_>,
    ) -> Vec<f32> {
        let size = self.channels * self.filters;
        let mut flipped = vec![0.0; 9 * size];
        for_parts(&mut flipped, size, |start, matrix| {
            let from = &kernel[8 * size - start..][..size];
            for (c, row) in from.chunks_exact(self.filters).enumerate() {
                for (n, value) in row.iter().enumerate() {
                    matrix[n * self.channels + c] = *value;
                }
            }
        });
        self.reversed().forward(dy, &flipped, bias, finish)
    }

    /// The gradient of the kernel, and the sums of `dy`.
    pub fn backward_kernel(
        &self,
        x: &Operand<'_>,
        dy: &Operand<'_>,
        dw: &mut [f32],
        db: Option<&mut [f32]>,
        accumulate: bool,
    ) {
        let has_bias = db.is_some();
        let (channels, filters) = (Width::new(self.channels), Width::new(self.filters));
        let [rows, columns] = self.output;
        let sums_len = points_len(self.channels, filters.padded());
        let size = sums_len + filters.padded();
        let work = [self.images, rows, columns, 9 * self.channels, self.filters]
            .into_iter()
            .fold(1, usize::saturating_mul);
        let body = |image: usize, band: Range<usize>, own: &mut [f32], scratch: &mut Scratch| {
            let (sums, db) = own.split_at_mut(sums_len);
            self.transform(x, image, &band, scratch);
            let from = (image * rows + band.start) * columns * self.filters;
            let len = band.len() * columns * self.filters;
            let dy = dy.piece(from..from + len, &mut scratch.small);
            if has_bias {
                add_rows(&mut db[..self.filters], dy);
            }
            let size = [band.len(), columns];
            let tiles = size.map(|length| length.div_ceil(2)).iter().product();
            let points = aligned(&mut scratch.tiles, filters.panels_len(tiles));
            Arch::new().dispatch(TransformGradient { dy, size, filters, out: points });
            Arch::new().dispatch(Products {
                left: aligned(&mut scratch.block, self.points_len(&band)),
                apart: [1, channels.padded()],
                rows: self.channels,
                depth: tiles,
                right: points,
                width: filters,
                out: sums,
                accumulate: true,
            });
        };
        let parts = (work / WORK).max(1).next_power_of_two();
        let private = private_sums(&self.bands(), parts, size, body);
        let mut sums = vec![0.0; sums_len];
        add_private(&private, size, 0, &mut sums, false);
        let channels = self.channels;
        Arch::new().dispatch(KernelGradient { sums: &sums, channels, filters, dw, accumulate });
        if let Some(db) = db {
            add_private(&private, size, sums_len, db, accumulate);
        }
    }
}
