//! Where windows lie.

use std::ops::Range;

/// One spatial axis: `output` windows of `kernel` places that lie `dilation` apart; window `o` starts at
/// `o * stride - pad`. Places outside the input count as padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Length of the input.
    pub input: usize,
    /// Number of windows.
    pub output: usize,
    /// Places of a window.
    pub kernel: usize,
    /// Distance between windows.
    pub stride: usize,
    /// Distance between the places of a window.
    pub dilation: usize,
    /// Padding before the input.
    pub pad: usize,
}

impl Axis {
    const ONE: Self = Self { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, pad: 0 };

    /// From the first place of the first window to the last of the last.
    pub fn span(&self) -> usize {
        self.output.saturating_sub(1) * self.stride + (self.kernel - 1) * self.dilation + 1
    }

    /// The places of the input that lie in a window.
    pub fn places(&self, window: usize) -> usize {
        let inside = |k: &usize| {
            let at = window * self.stride + k * self.dilation;
            (self.pad..self.pad + self.input).contains(&at)
        };
        (0..self.kernel).filter(inside).count()
    }
}

/// Windows over one to three spatial axes; missing ones have length 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    pub(super) axes: [Axis; 3],
}

/// Most places from the first to the last window of an axis, beyond the input.
const FARTHEST: usize = 1 << 24;

impl Windows {
    /// `None` if there are not one to three axes, if one has no window or place, or if windows reach
    /// further than memory does.
    pub fn new(axes: &[Axis]) -> Option<Self> {
        let fits = |axis: &Axis| {
            let reach = (axis.kernel.checked_sub(1)?).checked_mul(axis.dilation)?;
            let last = (axis.output.checked_sub(1)?).checked_mul(axis.stride)?;
            let span = last.checked_add(reach)?.checked_add(1)?;
            let whole = axis.input.checked_add(axis.pad)?.max(span);
            let farthest = axis.input.max(FARTHEST);
            (axis.input > 0 && axis.stride > 0 && axis.dilation > 0 && whole <= 2 * farthest)
                .then_some(whole)
        };
        let mut whole = 1usize;
        for axis in axes {
            whole = whole.checked_mul(fits(axis)?)?;
        }
        if axes.is_empty() || axes.len() > 3 || isize::try_from(whole).is_err() {
            return None;
        }
        let mut all = [Axis::ONE; 3];
        match axes {
            // Rows come first: bands are made of them.
            [rows, columns] => (all[0], all[2]) = (*rows, *columns),
            _ => all[3 - axes.len()..].copy_from_slice(axes),
        }
        Some(Self { axes: all })
    }

    /// Values of one channel of an input.
    pub fn input_len(&self) -> usize {
        self.axes.iter().map(|axis| axis.input).product()
    }

    /// Windows of an input.
    pub fn output_len(&self) -> usize {
        self.axes.iter().map(|axis| axis.output).product()
    }

    /// Places of a window.
    pub fn kernel_len(&self) -> usize {
        self.axes.iter().map(|axis| axis.kernel).product()
    }

    /// Whether a window is one place, and there is one at each.
    pub fn is_pointwise(&self) -> bool {
        self.axes
            .iter()
            .all(|a| a.kernel == 1 && a.stride == 1 && a.pad == 0 && a.input == a.output)
    }

    /// The images as the windows of some rows of the output see them.
    pub(super) fn source(&self, rows: &Range<usize>) -> Source {
        let [first, ..] = &self.axes;
        let start = rows.start * first.stride;
        let count =
            rows.len().saturating_sub(1) * first.stride + (first.kernel - 1) * first.dilation + 1;
        Source {
            input: self.axes.map(|a| a.input),
            before: self.axes.map(|a| a.pad),
            first: start,
            padded: [count, self.axes[1].span(), self.axes[2].span()],
        }
    }

    /// The start of each window of some rows of the output, in places of the source.
    pub(super) fn starts(
        &self,
        rows: &Range<usize>,
        source: [usize; 3],
        channels: usize,
    ) -> Vec<usize> {
        let [a, b, c] = &self.axes;
        let along = |axis: &Axis, count: usize| -> Vec<usize> {
            (0..count).map(|o| o * axis.stride).collect()
        };
        sums(&[along(a, rows.len()), along(b, b.output), along(c, c.output)], source, channels)
    }

    /// How many places of each window of some rows lie in the input.
    pub(super) fn counts(&self, rows: &Range<usize>) -> Vec<f32> {
        let [a, b, c] = &self.axes;
        let along = |axis: &Axis, range: Range<usize>| -> Vec<usize> {
            range.map(|window| axis.places(window)).collect()
        };
        let (a, b, c) = (along(a, rows.clone()), along(b, 0..b.output), along(c, 0..c.output));
        let pairs = a.iter().flat_map(|a| b.iter().map(move |b| a * b));
        pairs.flat_map(|ab| c.iter().map(move |c| (ab * c) as f32)).collect()
    }

    /// The places of a window, from its start.
    pub(super) fn places(&self, source: [usize; 3], channels: usize) -> Vec<usize> {
        let along =
            self.axes.map(|axis| (0..axis.kernel).map(|k| k * axis.dilation).collect::<Vec<_>>());
        sums(&along, source, channels)
    }
}

/// The row-major offsets, in an image of shape `dims`, of all combinations of places along its axes.
pub(super) fn sums(along: &[Vec<usize>; 3], dims: [usize; 3], channels: usize) -> Vec<usize> {
    let [a, b, c] = along;
    let mut out = Vec::with_capacity(a.len() * b.len() * c.len());
    for a in a {
        for b in b {
            out.extend(c.iter().map(|c| ((a * dims[1] + b) * dims[2] + c) * channels));
        }
    }
    out
}

/// Rows of an image with padding around it.
pub(super) struct Source {
    /// Shape of the image.
    pub input: [usize; 3],
    /// Padding before it.
    pub before: [usize; 3],
    /// The first row, counted from where the padding begins.
    pub first: usize,
    /// Shape of the padded rows.
    pub padded: [usize; 3],
}

impl Source {
    /// Whether the rows can be read from the image as it is: there is no padding.
    pub fn is_inside(&self) -> bool {
        self.before == [0; 3]
            && self.first + self.padded[0] <= self.input[0]
            && self.padded[1] <= self.input[1]
            && self.padded[2] <= self.input[2]
    }

    /// Calls `copy(offset in the padded rows, offset in the image, length)` for each run of values of
    /// the image, in order.
    fn runs(&self, channels: usize, mut copy: impl FnMut(usize, usize, usize)) {
        // The places of the padded rows that lie in the image, along an axis.
        let inside = |axis: usize, first: usize| -> Range<usize> {
            let start = self.before[axis].max(first) - first;
            let end = (self.before[axis] + self.input[axis]).max(first) - first;
            start.min(self.padded[axis])..end.min(self.padded[axis])
        };
        let (rows, columns, last) = (inside(0, self.first), inside(1, 0), inside(2, 0));
        if last.is_empty() {
            return;
        }
        let [_, h, w] = self.input;
        let [_, padded_h, padded_w] = self.padded;
        for a in rows {
            let image_a = a + self.first - self.before[0];
            for b in columns.clone() {
                let at = (a * padded_h + b) * padded_w + last.start;
                let image = (image_a * h + b - self.before[1]) * w + last.start - self.before[2];
                copy(at * channels, image * channels, last.len() * channels);
            }
        }
    }

    /// The padded rows: `value` around what `read(offset in the image, values)` writes.
    pub fn pad(
        &self,
        channels: usize,
        value: f32,
        out: &mut [f32],
        read: &dyn Fn(usize, &mut [f32]),
    ) {
        let mut end = 0;
        self.runs(channels, |at, image, len| {
            out[end..at].fill(value);
            end = at + len;
            read(image, &mut out[at..end]);
        });
        out[end..].fill(value);
    }

    /// The image's part of padded rows, written to an image.
    pub fn unpad(&self, channels: usize, padded: &[f32], image: &mut [f32]) {
        self.runs(channels, |at, to, len| {
            image[to..to + len].copy_from_slice(&padded[at..at + len])
        });
    }
}
