//! Convolution of any rank, stride, padding, dilation and number of groups, in channels-last order: the
//! forward pass, the gradient of the input (which is also the transposed convolution), and the gradient
//! of the kernel.
//!
//! Each works through bands of rows that stay in cache, products through `patches.rs`. Bands and parts
//! are cut by shape.

use super::bands::{Bands, Finish, Scratch, add_private, aligned, by_bands, private_sums};
use super::depthwise;
use super::geometry::{Axis, Source, Windows, sums};
use super::patches::Product;
use super::winograd::Winograd;
use crate::threads::for_parts;
use crate::vectorized;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Shapes: x `[images, input.., channels]`, kernel `[places.., channels / groups, filters]`, y
/// `[images, output.., filters]`.
#[derive(Clone, Copy, Debug)]
pub struct Convolution {
    windows: Windows,
    images: usize,
    channels: usize,
    filters: usize,
    groups: usize,
}

/// Changes a piece of a tensor that starts at an offset.
pub type Change<'a> = dyn Fn(usize, &mut [f32]) + Sync + 'a;

/// A tensor that is read in pieces, changed on the way: the gradient of a result whose activation is
/// still to be differentiated.
#[derive(Clone, Copy)]
pub struct Operand<'a> {
    /// The values.
    pub values: &'a [f32],
    /// What is done with each piece once it is read.
    pub change: Option<&'a Change<'a>>,
}

impl<'a> Operand<'a> {
    /// Values as they are.
    pub fn plain(values: &'a [f32]) -> Self {
        Self { values, change: None }
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.values[start..start + out.len()]);
        if let Some(change) = self.change {
            change(start, out);
        }
    }

    /// A piece: where it is, or read into `scratch`.
    pub(super) fn piece<'b>(&'b self, range: Range<usize>, scratch: &'b mut Vec<f32>) -> &'b [f32] {
        if self.change.is_none() {
            return &self.values[range];
        }
        scratch.resize(range.len(), 0.0);
        self.read(range.start, scratch);
        scratch
    }

    /// The image whose values start at `start`, or its padded rows; with the shape that offsets count in.
    pub(super) fn rows<'b>(
        &'b self,
        source: &Source,
        start: usize,
        channels: usize,
        padded: &'b mut Vec<f32>,
    ) -> (&'b [f32], [usize; 3]) {
        if self.change.is_none() && source.is_inside() {
            let row = source.input[1] * source.input[2] * channels;
            let end = start + source.input[0] * row;
            return (&self.values[start + source.first * row..end], source.input);
        }
        let len = source.padded.iter().product::<usize>() * channels;
        let padded = aligned(padded, len);
        source.pad(channels, 0.0, padded, &|at, out| self.read(start + at, out));
        (padded, source.padded)
    }
}

impl Convolution {
    /// `None` if the groups do not divide channels and filters, or a size is zero or too large.
    pub fn new(
        windows: Windows,
        images: usize,
        channels: usize,
        filters: usize,
        groups: usize,
    ) -> Option<Self> {
        let divides =
            groups > 0 && channels.is_multiple_of(groups) && filters.is_multiple_of(groups);
        let len = |a: usize, b: usize| images.checked_mul(a)?.checked_mul(b).filter(|n| *n <= MOST);
        const MOST: usize = isize::MAX as usize / 8;
        len(windows.input_len(), channels)?;
        len(windows.output_len(), filters)?;
        let kernel = windows.kernel_len().checked_mul(channels)?.checked_mul(filters)?;
        (divides && channels > 0 && filters > 0 && kernel <= MOST).then_some(Self {
            windows,
            images,
            channels,
            filters,
            groups,
        })
    }

    /// Values of x.
    pub fn input_len(&self) -> usize {
        self.images * self.windows.input_len() * self.channels
    }

    /// Values of y.
    pub fn output_len(&self) -> usize {
        self.images * self.windows.output_len() * self.filters
    }

    /// Values of the kernel.
    pub fn kernel_len(&self) -> usize {
        self.windows.kernel_len() * self.group_channels() * self.filters
    }

    fn group_channels(&self) -> usize {
        self.channels / self.groups
    }

    fn group_filters(&self) -> usize {
        self.filters / self.groups
    }

    /// Whether every channel has its own filter.
    fn is_depthwise(&self) -> bool {
        self.groups == self.channels && self.groups == self.filters && self.groups > 1
    }

    /// The faster algorithm, where it applies.
    fn winograd(&self) -> Option<Winograd> {
        let own = Winograd::new(&self.windows.axes, self.images, self.channels, self.filters);
        own.filter(|_| self.groups == 1)
    }

    /// Multiplications for a row of `windows` windows.
    fn work(&self, windows: usize) -> usize {
        windows.saturating_mul(self.kernel_len())
    }

    /// The bands of the output that forward pass and kernel gradient go by.
    fn output_bands(&self) -> Bands {
        let [first, b, c] = &self.windows.axes;
        let source = first.stride.saturating_mul(b.span() * c.span() * self.channels);
        Bands::new(self.images, first.output, self.work(b.output * c.output), source)
    }

    /// `y = finish(x * kernel + bias)`. `None` if a length does not fit.
    pub fn forward(
        &self,
        x: &[f32],
        kernel: &[f32],
        bias: Option<&[f32]>,
        finish: &Finish<'_>,
    ) -> Option<Vec<f32>> {
        let fits = x.len() == self.input_len()
            && kernel.len() == self.kernel_len()
            && bias.is_none_or(|bias| bias.len() == self.filters);
        if !fits {
            return None;
        }
        let x = Operand::plain(x);
        if let Some(winograd) = self.winograd() {
            return Some(winograd.forward(&x, kernel, bias, finish));
        }
        let [_, b, c] = &self.windows.axes;
        let row = b.output * c.output;
        let image_len = self.windows.input_len() * self.channels;
        let body = |image: usize, rows: Range<usize>, out: &mut [_], scratch: &mut Scratch| {
            let source = self.windows.source(&rows);
            let (data, dims) =
                x.rows(&source, image * image_len, self.channels, &mut scratch.padded);
            let starts = self.windows.starts(&rows, dims, self.channels);
            let places = self.windows.places(dims, self.channels);
            if self.is_depthwise() {
                let out_rows = multiples(starts.len(), self.filters, 0);
                let taps: Vec<(usize, usize)> = places
                    .iter()
                    .enumerate()
                    .map(|(k, place)| (k * self.channels, *place))
                    .collect();
                let weights =
                    depthwise::Weights { kernel, taps: &taps, bias, channels: self.channels };
                depthwise::forward(data, &starts, &weights, out, &out_rows);
                return;
            }
            for group in 0..self.groups {
                let columns = self.columns(&places, group);
                let filters = self.filters_of(group);
                let product = Product {
                    x: data,
                    rows: &starts,
                    columns: &columns,
                    b: &kernel[filters.start..],
                    b_stride: self.filters,
                    width: filters.len(),
                    out_rows: &multiples(starts.len(), self.filters, filters.start),
                };
                product.write(out, bias.map(|bias| &bias[filters]), &mut scratch.block);
            }
        };
        let bands = self.output_bands();
        // SAFETY: each group writes its filters of every window of the band, and the groups are all filters.
        Some(unsafe { by_bands(&bands, row * self.filters, self.work(row), finish, body) })
    }

    /// The gradient of x from that of y, plus `bias`, finished: the transposed convolution of `dy`. `None`
    /// if a length does not fit.
    pub fn backward_input(
        &self,
        dy: Operand<'_>,
        kernel: &[f32],
        bias: Option<&[f32]>,
        finish: &Finish<'_>,
    ) -> Option<Vec<f32>> {
        let fits = dy.values.len() == self.output_len()
            && kernel.len() == self.kernel_len()
            && bias.is_none_or(|bias| bias.len() == self.channels);
        if !fits {
            return None;
        }
        if let Some(winograd) = self.winograd() {
            return Some(winograd.backward_input(&dy, kernel, bias, finish));
        }
        let classes = self.windows.axes.map(|axis| Class::all(&axis));
        let flipped = Flipped::new(self, &classes, kernel);
        let [first, b, c] = &self.windows.axes;
        let row = b.input * c.input;
        // A row of x takes part in as many rows of y as the stride leaves.
        let work = self.work(b.output * c.output).div_ceil(first.stride).max(row * self.channels);
        let source = Reach::new(b).padded * Reach::new(c).padded * self.filters;
        let bands = Bands::new(self.images, first.input, work, source.div_ceil(first.stride));
        let image_len = self.windows.output_len() * self.filters;
        let body = |image: usize, rows: Range<usize>, out: &mut [_], scratch: &mut Scratch| {
            let reach = [Reach::of(first, &rows), Reach::new(b), Reach::new(c)];
            let source = Source {
                input: self.windows.axes.map(|axis| axis.output),
                before: reach.map(|reach| reach.before),
                first: reach[0].first,
                padded: reach.map(|reach| reach.padded),
            };
            let (data, dims) =
                dy.rows(&source, image * image_len, self.filters, &mut scratch.padded);
            let ranges = [rows, 0..b.input, 0..c.input];
            let at: [Vec<Members>; 3] = std::array::from_fn(|i| {
                let members =
                    |class| Members::new(class, &self.windows.axes[i], &ranges[i], &reach[i]);
                classes[i].iter().map(members).collect()
            });
            let own = [ranges[0].len(), b.input, c.input];
            for (index, [i, j, k]) in combinations(&classes).enumerate() {
                let members = [&at[0][i], &at[1][j], &at[2][k]];
                let out_rows = sums(&members.map(|m| m.inputs.clone()), own, self.channels);
                let starts = sums(&members.map(|m| m.starts.clone()), dims, self.filters);
                let places = sums(&members.map(|m| m.places.clone()), dims, self.filters);
                self.input_rows(
                    &flipped,
                    index,
                    (data, &starts, &places),
                    bias,
                    (&mut *out, out_rows),
                    &mut scratch.block,
                );
            }
        };
        // SAFETY: every input of the band is in one class of each axis, and each group writes its channels
        // of all members of all combinations of classes.
        Some(unsafe { by_bands(&bands, row * self.channels, work, finish, body) })
    }

    /// The rows of one class of inputs.
    fn input_rows(
        &self,
        flipped: &Flipped<'_>,
        class: usize,
        (data, starts, places): (&[f32], &[usize], &[usize]),
        bias: Option<&[f32]>,
        (out, mut out_rows): (&mut [MaybeUninit<f32>], Vec<usize>),
        block: &mut Vec<f32>,
    ) {
        let (first, taps) = flipped.class(class);
        if self.is_depthwise() {
            let taps: Vec<(usize, usize)> =
                taps.iter().zip(places).map(|(tap, place)| (tap * self.channels, *place)).collect();
            let weights = depthwise::Weights {
                kernel: flipped.kernel,
                taps: &taps,
                bias,
                channels: self.channels,
            };
            depthwise::forward(data, starts, &weights, out, &out_rows);
            return;
        }
        let (channels, filters) = (self.group_channels(), self.group_filters());
        for group in 0..self.groups {
            let at = (group * self.windows.kernel_len() + first) * channels * filters;
            let columns: Vec<usize> = places
                .iter()
                .flat_map(|place| (0..filters).map(move |n| place + group * filters + n))
                .collect();
            let own = group * channels..(group + 1) * channels;
            let product = Product {
                x: data,
                rows: starts,
                columns: &columns,
                b: &flipped.matrices[at..],
                b_stride: channels,
                width: channels,
                out_rows: &out_rows,
            };
            product.write(out, bias.map(|bias| &bias[own]), block);
            out_rows.iter_mut().for_each(|row| *row += channels);
        }
    }

    /// The gradient of the kernel, from x and the gradient of y, and that of the bias: the sums of `dy`. In a
    /// transposed convolution `x` is the gradient and `dy` the input, and there is no `db`. `false`,
    /// and nothing is done, if a length does not fit.
    #[must_use]
    pub fn backward_kernel(
        &self,
        x: Operand<'_>,
        dy: Operand<'_>,
        dw: &mut [f32],
        db: Option<&mut [f32]>,
        accumulate: bool,
    ) -> bool {
        let fits = x.values.len() == self.input_len()
            && dy.values.len() == self.output_len()
            && dw.len() == self.kernel_len()
            && db.as_ref().is_none_or(|db| db.len() == self.filters);
        if !fits {
            return false;
        }
        if let Some(winograd) = self.winograd() {
            winograd.backward_kernel(&x, &dy, dw, db, accumulate);
            return true;
        }
        let has_bias = db.is_some();
        let bands = self.output_bands();
        let [first, b, c] = &self.windows.axes;
        let row = b.output * c.output;
        let size = self.kernel_len() + self.filters;
        let work = self.work(row).saturating_mul(first.output).saturating_mul(self.images);
        let lens = [self.windows.input_len() * self.channels, row * self.filters];
        let body = |image: usize, rows: Range<usize>, own: &mut [f32], scratch: &mut Scratch| {
            let (dw, db) = own.split_at_mut(self.kernel_len());
            let source = self.windows.source(&rows);
            let (data, dims) = x.rows(&source, image * lens[0], self.channels, &mut scratch.padded);
            let from = (image * first.output + rows.start) * lens[1];
            let dy = dy.piece(from..from + rows.len() * lens[1], &mut scratch.small);
            if has_bias {
                add_rows(db, dy);
            }
            let starts = self.windows.starts(&rows, dims, self.channels);
            let places = self.windows.places(dims, self.channels);
            if self.is_depthwise() {
                depthwise::backward_kernel(data, &starts, &places, dy, self.channels, dw);
                return;
            }
            for group in 0..self.groups {
                let filters = self.filters_of(group);
                let product = Product {
                    x: data,
                    rows: &self.columns(&places, group),
                    columns: &starts,
                    b: &dy[filters.start..],
                    b_stride: self.filters,
                    width: filters.len(),
                    out_rows: &multiples(
                        places.len() * self.group_channels(),
                        self.filters,
                        filters.start,
                    ),
                };
                product.add(dw, &mut scratch.block);
            }
        };
        let private = private_sums(&bands, work / 4_000_000, size, body);
        add_private(&private, size, 0, dw, accumulate);
        if let Some(db) = db {
            add_private(&private, size, self.kernel_len(), db, accumulate);
        }
        true
    }

    fn filters_of(&self, group: usize) -> Range<usize> {
        group * self.group_filters()..(group + 1) * self.group_filters()
    }

    /// Offsets of a group's channels at each place.
    fn columns(&self, places: &[usize], group: usize) -> Vec<usize> {
        let channels = self.group_channels();
        let at = |place: &usize| {
            let from = place + group * channels;
            from..from + channels
        };
        places.iter().flat_map(at).collect()
    }
}

/// Adds each row of `dy` to `db`.
pub(super) fn add_rows(db: &mut [f32], dy: &[f32]) {
    vectorized(
        #[inline(always)]
        || {
            for row in dy.chunks_exact(db.len()) {
                db.iter_mut().zip(row).for_each(|(sum, dy)| *sum += dy);
            }
        },
    );
}

/// `offset, step + offset, ..`.
fn multiples(count: usize, step: usize, offset: usize) -> Vec<usize> {
    (0..count).map(|i| i * step + offset).collect()
}

/// The padded part of an axis of y that some inputs take part in.
#[derive(Clone, Copy)]
struct Reach {
    /// Padding before y.
    before: usize,
    /// The first place, counted from the padding.
    first: usize,
    /// Places.
    padded: usize,
}

impl Reach {
    fn of(axis: &Axis, inputs: &Range<usize>) -> Self {
        let before = (axis.kernel - 1) * axis.dilation / axis.stride;
        let first = (inputs.start + axis.pad) / axis.stride;
        let last = (inputs.end.max(inputs.start + 1) - 1 + axis.pad) / axis.stride;
        Self { before, first, padded: last - first + 1 + before }
    }

    /// Of all inputs, counted from the padding on.
    fn new(axis: &Axis) -> Self {
        let whole = Self::of(axis, &(0..axis.input));
        Self { first: 0, padded: whole.first + whole.padded, ..whole }
    }
}

/// The inputs of an axis that meet the same places of windows: `(input + pad) % stride == remainder`.
struct Class {
    remainder: usize,
    places: Vec<usize>,
}

impl Class {
    fn all(axis: &Axis) -> Vec<Self> {
        let remainder = |i: usize| (i + axis.pad) % axis.stride;
        let class = |i: usize| {
            let meets = |k: &usize| k * axis.dilation % axis.stride == remainder(i);
            Self { remainder: remainder(i), places: (0..axis.kernel).filter(meets).collect() }
        };
        (0..axis.input.min(axis.stride)).map(class).collect()
    }
}

/// A class within a range of inputs: where they are, where their windows start in the padded y, and where
/// the places lie from there.
struct Members {
    inputs: Vec<usize>,
    starts: Vec<usize>,
    places: Vec<usize>,
}

impl Members {
    fn new(class: &Class, axis: &Axis, range: &Range<usize>, reach: &Reach) -> Self {
        let member = |i: &usize| (i + axis.pad) % axis.stride == class.remainder;
        let inputs: Vec<usize> = range.clone().filter(member).collect();
        Self {
            starts: inputs.iter().map(|i| (i + axis.pad) / axis.stride - reach.first).collect(),
            inputs: inputs.iter().map(|i| i - range.start).collect(),
            places: class
                .places
                .iter()
                .map(|k| reach.before - k * axis.dilation / axis.stride)
                .collect(),
        }
    }
}

/// Indices of a class of each axis, in order.
fn combinations(classes: &[Vec<Class>; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [a, b, c] = classes.each_ref().map(Vec::len);
    (0..a * b * c).map(move |i| [i / (b * c), i / c % b, i % c])
}

/// The kernel, its matrices transposed and in the order of classes: `[groups, places, filters / groups,
/// channels / groups]`.
struct Flipped<'a> {
    kernel: &'a [f32],
    matrices: Vec<f32>,
    /// The places of all classes, one class after the other.
    places: Vec<usize>,
    /// Where each class begins, and the end.
    begins: Vec<usize>,
}

impl<'a> Flipped<'a> {
    fn new(convolution: &Convolution, classes: &[Vec<Class>; 3], kernel: &'a [f32]) -> Self {
        let dims = convolution.windows.axes.map(|axis| axis.kernel);
        let (mut places, mut begins) = (Vec::new(), vec![0]);
        for [i, j, k] in combinations(classes) {
            let along = [&classes[0][i], &classes[1][j], &classes[2][k]];
            places.extend(sums(&along.map(|class| class.places.clone()), dims, 1));
            begins.push(places.len());
        }
        let mut flipped = Self { kernel, matrices: Vec::new(), places, begins };
        if convolution.is_depthwise() {
            return flipped;
        }
        let (channels, filters) = (convolution.group_channels(), convolution.group_filters());
        let count = convolution.windows.kernel_len();
        flipped.matrices = vec![0.0; convolution.groups * count * channels * filters];
        let places = &flipped.places;
        for_parts(&mut flipped.matrices, channels * filters, |start, matrix| {
            let index = start / (channels * filters);
            let (group, Some(place)) = (index / count, places.get(index % count)) else { return };
            for c in 0..channels {
                let from = (place * channels + c) * convolution.filters + group * filters;
                for (n, value) in kernel[from..from + filters].iter().enumerate() {
                    matrix[n * channels + c] = *value;
                }
            }
        });
        flipped
    }

    /// Where the matrices of a class begin, and its places.
    fn class(&self, index: usize) -> (usize, &[usize]) {
        let (from, to) = (self.begins[index], self.begins[index + 1]);
        (from, &self.places[from..to])
    }
}
