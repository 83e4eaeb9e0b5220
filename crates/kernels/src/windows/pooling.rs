//! Maxima and averages of windows, in channels-last order, and their gradients.

use super::bands::{Bands, aligned};
use super::geometry::{Source, Windows};
use crate::vectorized;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Channels whose results stay in registers.
const LANES: usize = 16;

/// The padded rows of a part, used again for each of its bands.
type Padded = Vec<f32>;

/// x `[images, input.., channels]` to y `[images, output.., channels]`, with the place of each maximum in
/// its window (the first of equal ones). A window with a not-a-number has one as its maximum. `None` if
/// the length does not fit.
pub fn max_pool(
    windows: &Windows,
    images: usize,
    channels: usize,
    x: &[f32],
) -> Option<(Vec<f32>, Vec<u32>)> {
    let image_len = fitting(windows.input_len(), images, channels, x.len())?;
    let body = |image: usize,
                rows: Range<usize>,
                y: &mut [MaybeUninit<f32>],
                at: &mut [MaybeUninit<u32>],
                padded: &mut Padded| {
        let image = &x[image * image_len..(image + 1) * image_len];
        let (data, dims) = source(windows, &rows, channels, image, f32::NEG_INFINITY, padded);
        let starts = windows.starts(&rows, dims, channels);
        let places = windows.places(dims, channels);
        vectorized(
            #[inline(always)]
            || {
                let outputs = y.chunks_exact_mut(channels).zip(at.chunks_exact_mut(channels));
                for (start, (y, at)) in starts.iter().zip(outputs) {
                    let (y_blocks, y_rest) = y.as_chunks_mut::<LANES>();
                    let (at_blocks, at_rest) = at.as_chunks_mut::<LANES>();
                    for (block, (y, at)) in y_blocks.iter_mut().zip(at_blocks).enumerate() {
                        maxima(data, start + block * LANES, &places, y, at);
                    }
                    let from = channels - y_rest.len();
                    for (c, (y, at)) in y_rest.iter_mut().zip(at_rest).enumerate() {
                        let (y, at) = (std::slice::from_mut(y), std::slice::from_mut(at));
                        if let (Ok(y), Ok(at)) = (y.try_into(), at.try_into()) {
                            maxima::<1>(data, start + from + c, &places, y, at);
                        }
                    }
                }
            },
        );
    };
    let bands = bands(windows, images, channels);
    let row = windows.output_len() / windows.axes[0].output * channels;
    // SAFETY: there is a start for each window of the band, and `maxima` writes each of its channels.
    Some(unsafe { bands.build(row, row * windows.kernel_len(), body) })
}

/// The maxima of `N` neighbouring channels.
#[inline(always)]
fn maxima<const N: usize>(
    x: &[f32],
    start: usize,
    places: &[usize],
    y: &mut [MaybeUninit<f32>; N],
    at: &mut [MaybeUninit<u32>; N],
) {
    let (mut best, mut best_at) = ([f32::NEG_INFINITY; N], [0u32; N]);
    for (k, place) in places.iter().enumerate() {
        let x = &x[start + place..][..N];
        for ((best, best_at), x) in best.iter_mut().zip(&mut best_at).zip(x) {
            let better = *x > *best || x.is_nan();
            *best = if better { *x } else { *best };
            *best_at = if better { k as u32 } else { *best_at };
        }
    }
    for i in 0..N {
        y[i].write(best[i]);
        at[i].write(best_at[i]);
    }
}

/// The gradient of x: that of each maximum at its place. `None` if a length does not fit.
pub fn max_pool_backward(
    windows: &Windows,
    images: usize,
    channels: usize,
    dy: &[f32],
    at: &[u32],
) -> Option<Vec<f32>> {
    let image_len = fitting(windows.output_len(), images, channels, dy.len())?;
    if at.len() != dy.len() {
        return None;
    }
    let add = |image: usize, starts: &[usize], places: &[usize], dx: &mut [f32]| {
        let range = image * image_len..(image + 1) * image_len;
        let (dy, at) = (&dy[range.clone()], &at[range]);
        vectorized(
            #[inline(always)]
            || {
                let outputs = dy.chunks_exact(channels).zip(at.chunks_exact(channels));
                for (start, (dy, at)) in starts.iter().zip(outputs) {
                    for (k, place) in places.iter().enumerate() {
                        let dx = &mut dx[start + place..][..channels];
                        for ((dx, dy), at) in dx.iter_mut().zip(dy).zip(at) {
                            *dx += if *at == k as u32 { *dy } else { 0.0 };
                        }
                    }
                }
            },
        );
    };
    Some(backward(windows, images, channels, add))
}

/// x `[images, input.., channels]` to the averages of the places of each window that lie in the input. `None`
/// if the length does not fit.
pub fn average_pool(
    windows: &Windows,
    images: usize,
    channels: usize,
    x: &[f32],
) -> Option<Vec<f32>> {
    let image_len = fitting(windows.input_len(), images, channels, x.len())?;
    let body = |image: usize,
                rows: Range<usize>,
                y: &mut [MaybeUninit<f32>],
                _: &mut [MaybeUninit<()>],
                padded: &mut Padded| {
        let image = &x[image * image_len..(image + 1) * image_len];
        let (data, dims) = source(windows, &rows, channels, image, 0.0, padded);
        let starts = windows.starts(&rows, dims, channels);
        let places = windows.places(dims, channels);
        let counts = windows.counts(&rows);
        vectorized(
            #[inline(always)]
            || {
                let outputs = y.chunks_exact_mut(channels).zip(&counts);
                for (start, (y, count)) in starts.iter().zip(outputs) {
                    let (blocks, rest) = y.as_chunks_mut::<LANES>();
                    for (block, y) in blocks.iter_mut().enumerate() {
                        average(data, start + block * LANES, &places, *count, y);
                    }
                    let from = channels - rest.len();
                    for (c, y) in rest.iter_mut().enumerate() {
                        if let Ok(y) = std::slice::from_mut(y).try_into() {
                            average::<1>(data, start + from + c, &places, *count, y);
                        }
                    }
                }
            },
        );
    };
    let bands = bands(windows, images, channels);
    let row = windows.output_len() / windows.axes[0].output * channels;
    // SAFETY: there is a start and a count for each window of the band, and `average` writes each of its
    // channels; unit values need no writing.
    Some(unsafe { bands.build(row, row * windows.kernel_len(), body) }.0)
}

/// The averages of `N` neighbouring channels.
#[inline(always)]
fn average<const N: usize>(
    x: &[f32],
    start: usize,
    places: &[usize],
    count: f32,
    y: &mut [MaybeUninit<f32>; N],
) {
    let mut sums = [0.0; N];
    for place in places {
        let x = &x[start + place..][..N];
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum += x;
        }
    }
    for (y, sum) in y.iter_mut().zip(sums) {
        y.write(sum / count);
    }
}

/// The gradient of x: that of each average, spread over its places. `None` if the length does not fit.
pub fn average_pool_backward(
    windows: &Windows,
    images: usize,
    channels: usize,
    dy: &[f32],
) -> Option<Vec<f32>> {
    let image_len = fitting(windows.output_len(), images, channels, dy.len())?;
    let counts = windows.counts(&(0..windows.axes[0].output));
    let add = |image: usize, starts: &[usize], places: &[usize], dx: &mut [f32]| {
        let dy = &dy[image * image_len..(image + 1) * image_len];
        vectorized(
            #[inline(always)]
            || {
                let outputs = dy.chunks_exact(channels).zip(&counts);
                for (start, (dy, count)) in starts.iter().zip(outputs) {
                    for place in places {
                        let dx = &mut dx[start + place..][..channels];
                        for (dx, dy) in dx.iter_mut().zip(dy) {
                            *dx += dy / count;
                        }
                    }
                }
            },
        );
    };
    Some(backward(windows, images, channels, add))
}

/// Values of an image, if they are those of a tensor of that length.
fn fitting(image: usize, images: usize, channels: usize, len: usize) -> Option<usize> {
    let image = image.checked_mul(channels).filter(|_| channels > 0)?;
    (image.checked_mul(images)? == len).then_some(image)
}

fn bands(windows: &Windows, images: usize, channels: usize) -> Bands {
    let [first, b, c] = &windows.axes;
    let work = b.output * c.output * windows.kernel_len() * channels;
    Bands::new(images, first.output, work, first.stride * b.span() * c.span() * channels)
}

/// The rows of an image that some rows of windows see, padded with `value` where they must be, and the
/// shape that offsets count in.
fn source<'a>(
    windows: &Windows,
    rows: &Range<usize>,
    channels: usize,
    image: &'a [f32],
    value: f32,
    padded: &'a mut Padded,
) -> (&'a [f32], [usize; 3]) {
    let source = windows.source(rows);
    if source.is_inside() {
        return (
            &image[source.first * source.input[1] * source.input[2] * channels..],
            source.input,
        );
    }
    let len = source.padded.iter().product::<usize>() * channels;
    let padded = aligned(padded, len);
    source.pad(channels, value, padded, &|at, out| out.copy_from_slice(&image[at..at + out.len()]));
    (padded, source.padded)
}

/// A new gradient of x, to which `add(image, starts, places, dx)` adds, image by image.
fn backward(
    windows: &Windows,
    images: usize,
    channels: usize,
    add: impl Fn(usize, &[usize], &[usize], &mut [f32]) + Sync,
) -> Vec<f32> {
    let [first, ..] = &windows.axes;
    let all = 0..first.output;
    let source: Source = windows.source(&all);
    let inside = source.is_inside();
    let dims = if inside { source.input } else { source.padded };
    let starts = windows.starts(&all, dims, channels);
    let places = windows.places(dims, channels);
    let body = |image: usize,
                _: Range<usize>,
                dx: &mut [MaybeUninit<f32>],
                _: &mut [MaybeUninit<()>],
                padded: &mut Padded| {
        let dx = {
            dx.iter_mut().for_each(|value| _ = value.write(0.0));
            // SAFETY: all of them were just written.
            unsafe { dx.assume_init_mut() }
        };
        if inside {
            return add(image, &starts, &places, dx);
        }
        padded.clear();
        padded.resize(dims.iter().product::<usize>() * channels, 0.0);
        add(image, &starts, &places, padded);
        source.unpad(channels, padded, dx);
    };
    let bands = Bands::whole(images, first.input);
    let row = windows.input_len() / first.input * channels;
    let work = windows.output_len() * windows.kernel_len() * channels / first.input;
    // SAFETY: zeros are written first; unit values need no writing.
    unsafe { bands.build(row, work, body) }.0
}
