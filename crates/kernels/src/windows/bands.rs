//! Rows of images in bands that threads share: new tensors made of them, and sums over them.

use crate::build_parts;
use crate::threads::{Shared, for_chunks, parallel};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;

/// What is done with finished values of a result, such as an activation.
pub type Finish<'a> = dyn Fn(&mut [f32]) + Sync + 'a;

/// Memory that a thread uses again for each of its bands.
#[derive(Default)]
pub(super) struct Scratch {
    pub padded: Vec<f32>,
    pub small: Vec<f32>,
    pub block: Vec<f32>,
    pub tiles: Vec<f32>,
}

impl Scratch {
    /// Calls `body` with the memory of this thread.
    pub fn lend<R>(body: impl FnOnce(&mut Self) -> R) -> R {
        thread_local! { static OWN: Cell<Scratch> = Cell::default() }
        let mut scratch = OWN.take();
        let result = body(&mut scratch);
        OWN.set(scratch);
        result
    }
}

/// The first `len` values of a vector from the start of a cache line on; it grows where it has fewer.
pub(super) fn aligned(values: &mut Vec<f32>, len: usize) -> &mut [f32] {
    const LINE: usize = 16;
    if values.len() < len + LINE {
        values.resize(len + LINE, 0.0);
    }
    let start = values.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
    &mut values[start..start + len]
}

/// Rows of images, in bands that threads share out.
#[derive(Clone, Copy)]
pub(super) struct Bands {
    pub images: usize,
    /// Rows of an image.
    pub rows: usize,
    /// Rows of a band; the last of an image may have fewer.
    pub height: usize,
}

/// Multiplications that are worth a thread's while.
const WORK: usize = 1_000_000;
/// Values of a band of padded rows, so that it stays in the second cache.
const BAND: usize = 64 * 1024;

impl Bands {
    /// Bands whose rows take `work` multiplications and `values` values of the source each.
    pub fn new(images: usize, rows: usize, work: usize, values: usize) -> Self {
        let worth = (4 * WORK).div_ceil(work.max(1));
        let fits = (BAND / values.max(1)).max(1);
        Self { images, rows, height: worth.min(fits).clamp(1, rows.max(1)) }
    }

    /// Whole images.
    pub fn whole(images: usize, rows: usize) -> Self {
        Self { images, rows, height: rows.max(1) }
    }

    fn per_image(&self) -> usize {
        self.rows.div_ceil(self.height)
    }

    pub fn count(&self) -> usize {
        self.images * self.per_image()
    }

    /// The image of a band, and its rows.
    pub fn band(&self, index: usize) -> (usize, Range<usize>) {
        let per_image = self.per_image().max(1);
        let start = (index % per_image) * self.height;
        (index / per_image, start..(start + self.height).min(self.rows))
    }

    /// Bands that make a part: as many as are worth a thread's while, `work` for each row.
    pub fn per_part(&self, work: usize) -> usize {
        WORK.div_ceil(work.saturating_mul(self.height).max(1)).max(1)
    }

    /// Calls `body(bands, their a, their b)` for parts of `per_part` bands, on all threads; `row` is the
    /// number of values of a row, in both.
    pub fn for_parts<A: Send, B: Send>(
        &self,
        (a, b): (&mut [A], &mut [B]),
        row: usize,
        per_part: usize,
        body: impl Fn(Range<usize>, &mut [A], &mut [B]) + Sync,
    ) {
        let count = self.count();
        // Where a band starts: it grows with the band.
        let start = |band: usize| {
            if band >= count {
                return self.images * self.rows * row;
            }
            let (image, rows) = self.band(band);
            (image * self.rows + rows.start) * row
        };
        let (a, b) = (Shared::new(a), Shared::new(b));
        parallel(count.div_ceil(per_part), |part| {
            let bands = part * per_part..((part + 1) * per_part).min(count);
            let (from, to) = (start(bands.start), start(bands.end));
            // SAFETY: parts take consecutive bands, whose ranges follow each other without overlap,
            // and the slices are borrowed mutably for the whole call.
            let (a, b) = unsafe { (a.range(from, to), b.range(from, to)) };
            body(bands, a, b);
        });
    }

    /// Two new tensors of `row` values for each row of the bands, where `work` is done for each.
    ///
    /// # Safety
    /// `body(image, rows, a, b, scratch)` must write all of `a` and `b`.
    pub unsafe fn build<A: Send, B: Send, S: Default>(
        &self,
        row: usize,
        work: usize,
        body: impl Fn(usize, Range<usize>, &mut [MaybeUninit<A>], &mut [MaybeUninit<B>], &mut S) + Sync,
    ) -> (Vec<A>, Vec<B>) {
        let len = self.images * self.rows * row;
        let (mut a, mut b) = (Vec::with_capacity(len), Vec::with_capacity(len));
        let spare = (&mut a.spare_capacity_mut()[..len], &mut b.spare_capacity_mut()[..len]);
        self.for_parts(spare, row, self.per_part(work), |bands, mut a, mut b| {
            let mut scratch = S::default();
            for band in bands {
                let (image, rows) = self.band(band);
                let (own_a, rest_a) = std::mem::take(&mut a).split_at_mut(rows.len() * row);
                let (own_b, rest_b) = std::mem::take(&mut b).split_at_mut(rows.len() * row);
                (a, b) = (rest_a, rest_b);
                body(image, rows, own_a, own_b, &mut scratch);
            }
        });
        // SAFETY: the bands are all of the first `len` values of both, and `body` wrote all of theirs.
        unsafe {
            a.set_len(len);
            b.set_len(len);
        }
        (a, b)
    }
}

/// A new tensor of `row` values for each row of the bands.
///
/// # Safety
/// `body(image, rows, values, scratch)` must write all of the values.
pub(super) unsafe fn by_bands(
    bands: &Bands,
    row: usize,
    work: usize,
    finish: &Finish<'_>,
    body: impl Fn(usize, Range<usize>, &mut [MaybeUninit<f32>], &mut Scratch) + Sync,
) -> Vec<f32> {
    let band =
        |image, rows, out: &mut [MaybeUninit<f32>], _: &mut [MaybeUninit<()>], _: &mut ()| {
            Scratch::lend(|scratch| body(image, rows, &mut *out, scratch));
            // SAFETY: `body` wrote all of them.
            finish(unsafe { out.assume_init_mut() });
        };
    // SAFETY: as for this function; unit values need no writing.
    unsafe { bands.build(row, work, band) }.0
}

/// Most parts of the bands with private sums, and most values of all of them.
const PARTS: usize = 32;
const PRIVATE: usize = 8 << 20;

/// Private sums over parts of the bands, `size` values each; there are up to `parts` of them. `body(image, rows, sums,
/// scratch)` adds a band to the sums of its part.
pub(super) fn private_sums(
    bands: &Bands,
    parts: usize,
    size: usize,
    body: impl Fn(usize, Range<usize>, &mut [f32], &mut Scratch) + Sync,
) -> Vec<f32> {
    let parts = parts.clamp(1, PARTS.min((PRIVATE / size).max(1)));
    let per_part = bands.count().div_ceil(parts).max(1);
    let parts = bands.count().div_ceil(per_part);
    build_parts(parts * size, size, |start, own| {
        Scratch::lend(|scratch| {
            let from = start / size * per_part;
            for band in from..(from + per_part).min(bands.count()) {
                let (image, rows) = bands.band(band);
                body(image, rows, own, scratch);
            }
        })
    })
}

/// The sum of what lies at `offset` in each of some private gradients of `size` values, or what it adds to `out`.
pub(super) fn add_private(
    private: &[f32],
    size: usize,
    offset: usize,
    out: &mut [f32],
    accumulate: bool,
) {
    for_chunks([out], |start, [out]| {
        if !accumulate {
            out.fill(0.0);
        }
        for own in private.chunks_exact(size) {
            let own = &own[offset + start..][..out.len()];
            out.iter_mut().zip(own).for_each(|(sum, v)| *sum += v);
        }
    });
}
