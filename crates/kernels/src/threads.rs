//! Loops on several threads, in parts that do not depend on how many threads there are.

use super::pool::Pool;

/// Elements a part of an elementwise loop holds (few under Miri, which takes a microsecond for each).
pub const CHUNK: usize = if cfg!(miri) { 64 } else { 32 * 1024 };

/// Runs `part(0) .. part(parts - 1)`, on all threads if there is more than one part.
pub fn parallel(parts: usize, part: impl Fn(usize) + Sync) {
    if parts < 2 {
        return (0..parts).for_each(part);
    }
    Pool::global().run(parts, &part);
}

/// A slice that several threads write, each its own range.
pub(crate) struct Shared<T>(*mut T, usize);

// SAFETY: a `Shared` only hands out ranges through `range`, whose callers promise that no two live
// ranges overlap; sending the pointer itself between threads is then sound for `Send` elements.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn new(slice: &mut [T]) -> Self {
        Self(slice.as_mut_ptr(), slice.len())
    }

    /// The start of the slice, for kernels that write strided parts of it.
    pub(crate) fn pointer(&self) -> *mut T {
        self.0
    }

    /// The range `start..end`, clamped to the slice.
    ///
    /// # Safety
    /// No other live reference may overlap the range, and the slice must outlive the use.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn range(&self, start: usize, end: usize) -> &mut [T] {
        let start = start.min(self.1);
        let end = end.clamp(start, self.1);
        // SAFETY: start <= end <= len, so the range lies in the slice; the caller rules out overlap.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), end - start) }
    }
}

/// Cuts `slices` (all of one length) into chunks of [`CHUNK`] and calls `body(start, chunks)` for
/// each, on all threads if there is more than one.
pub fn for_chunks<T: Send, const N: usize>(
    slices: [&mut [T]; N],
    body: impl Fn(usize, [&mut [T]; N]) + Sync,
) {
    let len = slices.iter().map(|s| s.len()).min().unwrap_or(0);
    if len <= CHUNK {
        return body(0, slices);
    }
    let shared = slices.map(Shared::new);
    parallel(len.div_ceil(CHUNK), |part| {
        let start = part * CHUNK;
        let end = (start + CHUNK).min(len);
        // SAFETY: each part takes its own range of each slice, parts do not overlap, and `slices`
        // are borrowed mutably for the whole call.
        let chunks = std::array::from_fn(|i| unsafe { shared[i].range(start, end) });
        body(start, chunks);
    });
}

/// Cuts `values`, rows of `width`, into parts of whole rows of about [`CHUNK`] elements and calls
/// `body(first row, rows)` for each, on all threads if there is more than one.
pub fn for_rows<T: Send>(values: &mut [T], width: usize, body: impl Fn(usize, &mut [T]) + Sync) {
    if width == 0 {
        return;
    }
    let rows = (CHUNK / width).max(1);
    for_parts(values, rows * width, |start, part| body(start / width, part));
}

/// Cuts `values` into parts of `len` and calls `body(start, part)` for each, on all threads if there
/// is more than one.
pub fn for_parts<T: Send>(values: &mut [T], len: usize, body: impl Fn(usize, &mut [T]) + Sync) {
    let len = len.max(1);
    let shared = Shared::new(values);
    parallel(shared.1.div_ceil(len), |part| {
        let start = part * len;
        // SAFETY: each part takes its own range, and `values` is borrowed mutably for the whole call.
        body(start, unsafe { shared.range(start, start + len) });
    });
}

/// As [`for_parts`], of several slices, each with the length of its parts: `body(part, parts)`. A
/// slice that has fewer than another has empty ones at the end.
pub fn for_parts_of<T: Send, const N: usize>(
    slices: [(&mut [T], usize); N],
    body: impl Fn(usize, [&mut [T]; N]) + Sync,
) {
    let shared = slices.map(|(slice, len)| (Shared::new(slice), len.max(1)));
    let parts = shared.iter().map(|(slice, len)| slice.1.div_ceil(*len)).max();
    parallel(parts.unwrap_or(0), |part| {
        let ranges = shared.each_ref().map(|(slice, len)| {
            // SAFETY: each part takes its own range of each slice, and all are borrowed mutably for
            // the whole call.
            unsafe { slice.range(part * len, (part + 1) * len) }
        });
        body(part, ranges);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_visited_once() {
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
            let (mut a, mut b) = (vec![0f32; len], vec![1f32; len]);
            for_chunks([&mut a, &mut b], |start, [a, b]| {
                for (i, (a, b)) in a.iter_mut().zip(b.iter_mut()).enumerate() {
                    *a += (start + i) as f32;
                    *b += *a;
                }
            });
            assert!(a.iter().enumerate().all(|(i, v)| *v == i as f32), "{len}");
            assert!(b.iter().enumerate().all(|(i, v)| *v == i as f32 + 1.0), "{len}");
        }
    }

    #[test]
    fn every_row_is_visited_once() {
        for (rows, width) in [(0, 3), (3, 0), (1, 1), (CHUNK, 3), (5, CHUNK + 1), (7, CHUNK / 3)] {
            let mut values = vec![0f32; rows * width];
            for_rows(&mut values, width, |first, part| {
                assert_eq!(part.len() % width, 0);
                for (i, row) in part.chunks_exact_mut(width).enumerate() {
                    row.iter_mut().for_each(|v| *v += (first + i) as f32);
                }
            });
            let right = |(i, v): (usize, &f32)| *v == (i / width) as f32;
            assert!(values.iter().enumerate().all(right), "{rows} rows of {width}");
        }
    }

    #[test]
    fn slices_are_cut_side_by_side() {
        for parts in [0, 1, 5] {
            let (mut a, mut b) = (vec![0; parts * 3], vec![0; parts * 2]);
            for_parts_of([(&mut a[..], 3), (&mut b[..], 2)], |part, [a, b]| {
                assert_eq!((a.len(), b.len()), (3, 2));
                a.fill(part);
                b.fill(part + 100);
            });
            assert!(a.iter().enumerate().all(|(i, v)| *v == i / 3));
            assert!(b.iter().enumerate().all(|(i, v)| *v == i / 2 + 100));
        }
    }
}
