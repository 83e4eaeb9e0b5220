//! New vectors made in one pass over slices: nothing is copied first or written twice. The functions
//! given must be `#[inline(always)]` plain arithmetic that vectorises; what they capture, they own.

use super::{CHUNK, for_chunks, for_parts, for_parts_of, vectorized};
use std::mem::MaybeUninit;

/// `f(a[i])` for every `i`.
#[inline(always)]
pub fn map(a: &[f32], f: impl Fn(f32) -> f32 + Copy + Sync) -> Vec<f32> {
    build(
        a.len(),
        #[inline(always)]
        |start, out| {
            // A copy of `f` with all it holds: read through a reference, that might be what is written.
            let (f, a) = (f, &a[start..start + out.len()]);
            for (out, a) in out.iter_mut().zip(a) {
                out.write(f(*a));
            }
        },
    )
}

/// `f(a[i], b[i])` for every `i`, up to the shorter.
#[inline(always)]
pub fn map2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32 + Copy + Sync) -> Vec<f32> {
    build(
        a.len().min(b.len()),
        #[inline(always)]
        |start, out| {
            let (f, a) = (f, &a[start..start + out.len()]);
            let b = &b[start..start + out.len()];
            for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                out.write(f(*a, *b));
            }
        },
    )
}

/// `f(a[i], b[i], c[i])` for every `i`, up to the shortest.
#[inline(always)]
pub fn map3(
    a: &[f32],
    b: &[f32],
    c: &[f32],
    f: impl Fn(f32, f32, f32) -> f32 + Copy + Sync,
) -> Vec<f32> {
    build(
        a.len().min(b.len()).min(c.len()),
        #[inline(always)]
        |start, out| {
            let (f, a) = (f, &a[start..start + out.len()]);
            let (b, c) = (&b[start..start + out.len()], &c[start..start + out.len()]);
            for (((out, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
                out.write(f(*a, *b, *c));
            }
        },
    )
}

/// Zeros, written on all threads.
pub fn zeros(len: usize) -> Vec<f32> {
    build_parts(len, CHUNK, |_, _| {})
}

/// A vector of which `body(start, part)` changes the zeros of each part of `part` values, on all threads if
/// there is more than one: a part is filled and changed while it is in the cache.
pub fn build_parts(len: usize, part: usize, body: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let [values] = build_parts_of([(len, part)], |index, [values]| body(index * part, values));
    values
}

/// A copy of `values` of which `body(start, part)` changes each part of `part` values, on all threads if there is more
/// than one: a part is copied and changed while it is in the cache.
pub fn copy_parts(
    values: &[f32],
    part: usize,
    body: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut copy = Vec::with_capacity(values.len());
    for_parts(&mut copy.spare_capacity_mut()[..values.len()], part, |start, own| {
        own.write_copy_of_slice(&values[start..start + own.len()]);
        // SAFETY: the line before writes every element of the part.
        body(start, unsafe { own.assume_init_mut() });
    });
    // SAFETY: the parts are the first `values.len()` places of the capacity, and each is written.
    unsafe { copy.set_len(values.len()) };
    copy
}

/// As [`build_parts`], in parts of whole rows of `width` values of about [`CHUNK`] in all: `body(first row, rows)`.
pub fn build_rows(len: usize, width: usize, body: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let width = width.max(1);
    build_parts(len, (CHUNK / width).max(1) * width, |start, part| body(start / width, part))
}

/// As [`build_parts`], of several vectors, each with its length and that of its parts: `body(part, parts)`.
pub fn build_parts_of<const N: usize>(
    lengths: [(usize, usize); N],
    body: impl Fn(usize, [&mut [f32]; N]) + Sync,
) -> [Vec<f32>; N] {
    let mut vectors = lengths.map(|(len, _)| Vec::with_capacity(len));
    let mut slices = vectors.each_mut().map(|vector| (vector.spare_capacity_mut(), 0));
    for ((slice, size), (len, part)) in slices.iter_mut().zip(lengths) {
        (*slice, *size) = (&mut std::mem::take(slice)[..len], part);
    }
    for_parts_of(slices, |index, parts| {
        body(
            index,
            parts.map(|part| {
                part.fill(MaybeUninit::new(0.0));
                // SAFETY: the line before writes every element of the part.
                unsafe { part.assume_init_mut() }
            }),
        );
    });
    for (vector, (len, _)) in vectors.iter_mut().zip(lengths) {
        // SAFETY: the parts of a vector are the first `len` places of its capacity, and each is filled.
        unsafe { vector.set_len(len) };
    }
    vectors
}

/// A vector whose chunks `write(start, chunk)` fills; it must write every element.
#[inline(always)]
fn build(len: usize, write: impl Fn(usize, &mut [MaybeUninit<f32>]) + Copy + Sync) -> Vec<f32> {
    let mut values = Vec::with_capacity(len);
    for_chunks([&mut values.spare_capacity_mut()[..len]], |start, [chunk]| {
        vectorized(
            #[inline(always)]
            || write(start, chunk),
        );
    });
    // SAFETY: the chunks are the first `len` places of the capacity, and the callers above write each
    // element of a chunk: their inputs are cut to its length.
    unsafe { values.set_len(len) };
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::CHUNK;

    #[test]
    fn parts_of_zeros_are_changed() {
        for len in [0, 1, CHUNK, 2 * CHUNK + 3] {
            assert_eq!(zeros(len), vec![0.0; len]);
            let built = build_parts(len, 7, |start, part| {
                part.iter_mut().zip(start..).for_each(|(value, i)| *value += i as f32);
            });
            assert_eq!(built, (0..len).map(|i| i as f32).collect::<Vec<_>>());
            for width in [1, 3, CHUNK + 1] {
                let built = build_rows(len / width * width, width, |first, rows| {
                    rows.chunks_exact_mut(width)
                        .zip(first..)
                        .for_each(|(row, i)| row.fill(i as f32));
                });
                assert!(built.iter().enumerate().all(|(i, value)| *value == (i / width) as f32));
            }
        }
        let built = build_parts_of([(2, 1), (9, 2), (0, 1)], |index, [a, b, c]| {
            assert!(c.is_empty());
            a.fill(1.0);
            b.fill(index as f32);
        });
        let right: [Vec<f32>; 3] =
            [vec![1.0; 2], vec![0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0], vec![]];
        assert_eq!(built, right);
    }

    #[test]
    fn every_element_is_written() {
        for len in [0, 1, 15, 17, CHUNK, 2 * CHUNK + 3] {
            let a: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let longer: Vec<f32> = (0..len + 2).map(|i| 2.0 * i as f32).collect();
            let is = |values: &[f32], times: f32| {
                values.len() == len
                    && values.iter().enumerate().all(|(i, v)| *v == times * i as f32)
            };
            assert!(is(&map(&a, |a| 4.0 * a), 4.0), "{len}");
            assert!(is(&map2(&a, &longer, |a, b| a + b), 3.0), "{len}");
            assert!(is(&map3(&longer, &a, &longer, |a, b, c| a + b + c), 5.0), "{len}");
        }
    }
}
