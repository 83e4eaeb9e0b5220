//! Convolution with one filter for each channel.

use pulp::{Simd, WithSimd};
use std::mem::MaybeUninit;

/// A kernel `[places, channels]` and which of its rows lie where.
pub(super) struct Weights<'a> {
    pub kernel: &'a [f32],
    /// Where a row of the kernel begins, and how far from the start of a window it applies.
    pub taps: &'a [(usize, usize)],
    pub bias: Option<&'a [f32]>,
    pub channels: usize,
}

/// Windows whose sums of a vector of channels stay in registers: a vector of the kernel is read once for all.
const WINDOWS: usize = 8;

/// Places whose sums of a vector of channels stay in registers.
const PLACES: usize = 9;

/// `out[out_rows[i] + c] = bias[c] + sum_k x[starts[i] + place k + c] kernel[k, c]`.
///
/// # Panics
/// If something lies outside its slice.
pub(super) fn forward(
    x: &[f32],
    starts: &[usize],
    weights: &Weights<'_>,
    out: &mut [MaybeUninit<f32>],
    out_rows: &[usize],
) {
    let channels = weights.channels;
    let places = weights.taps.iter().map(|(_, place)| *place);
    check(starts, places, channels, x.len());
    check(&[0], weights.taps.iter().map(|(row, _)| *row), channels, weights.kernel.len());
    check(out_rows, std::iter::once(0), channels, out.len());
    assert_eq!(starts.len(), out_rows.len());
    assert!(weights.bias.is_none_or(|bias| bias.len() == channels), "a bias does not fit");
    let out = out.as_mut_ptr().cast();
    pulp::Arch::new().dispatch(Forward { x, starts, weights, out, out_rows });
}

/// `dw[k, c] += sum_i x[starts[i] + places[k] + c] dy[i, c]`.
///
/// # Panics
/// If something lies outside its slice.
pub(super) fn backward_kernel(
    x: &[f32],
    starts: &[usize],
    places: &[usize],
    dy: &[f32],
    channels: usize,
    dw: &mut [f32],
) {
    check(starts, places.iter().copied(), channels, x.len());
    assert!(starts.len() * channels <= dy.len(), "a gradient does not fit");
    assert!(places.len() * channels <= dw.len(), "a kernel does not fit");
    pulp::Arch::new().dispatch(BackwardKernel { x, starts, places, dy, channels, dw });
}

/// Whether `channels` values lie at all sums of a start and a place.
fn check(starts: &[usize], places: impl Iterator<Item = usize>, channels: usize, len: usize) {
    let last = starts.iter().copied().max().zip(places.max());
    let end = last.map(|(start, place)| {
        start.checked_add(place).and_then(|last| last.checked_add(channels)).unwrap_or(usize::MAX)
    });
    assert!(end.is_none_or(|end| end <= len), "windows do not fit");
}

/// Checked by [`forward`].
struct Forward<'a> {
    x: &'a [f32],
    starts: &'a [usize],
    weights: &'a Weights<'a>,
    out: *mut f32,
    out_rows: &'a [usize],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, starts, weights, out, out_rows } = self;
        let channels = weights.channels;
        let whole = channels - channels % S::F32_LANES;
        for (starts, out_rows) in starts.chunks(WINDOWS).zip(out_rows.chunks(WINDOWS)) {
            // The last tile repeats its last window, whose sums are then not kept.
            let last = starts.len() - 1;
            let windows: [usize; WINDOWS] = std::array::from_fn(|i| starts[i.min(last)]);
            for from in (0..whole).step_by(S::F32_LANES) {
                let first = match weights.bias {
                    Some(bias) => simd.partial_load_f32s(&bias[from..from + S::F32_LANES]),
                    None => simd.splat_f32s(0.0),
                };
                let mut sums = [first; WINDOWS];
                for (row, place) in weights.taps {
                    // SAFETY: `forward` checked that `channels` values lie at each row of the kernel and at
                    // each place of each window, and whole vectors from `from` end before `channels`.
                    unsafe {
                        let w = vector::<S>(weights.kernel, row + from);
                        for (sum, window) in sums.iter_mut().zip(windows) {
                            let x = vector::<S>(x, window + place + from);
                            *sum = simd.mul_add_e_f32s(x, w, *sum);
                        }
                    }
                }
                for (sum, row) in sums.iter().zip(out_rows) {
                    // SAFETY: `forward` checked that `channels` values lie at each of `out_rows`, which are
                    // borrowed mutably for this call.
                    unsafe { out.add(row + from).cast::<S::f32s>().write_unaligned(*sum) };
                }
            }
            for c in whole..channels {
                for (start, row) in starts.iter().zip(out_rows) {
                    let mut sum = weights.bias.map_or(0.0, |bias| bias[c]);
                    for (row, place) in weights.taps {
                        sum += x[start + place + c] * weights.kernel[row + c];
                    }
                    // SAFETY: as above.
                    unsafe { out.add(row + c).write(sum) };
                }
            }
        }
    }
}

/// Checked by [`backward_kernel`].
struct BackwardKernel<'a> {
    x: &'a [f32],
    starts: &'a [usize],
    places: &'a [usize],
    dy: &'a [f32],
    channels: usize,
    dw: &'a mut [f32],
}

impl WithSimd for BackwardKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, starts, places, dy, channels, dw } = self;
        let whole = channels - channels % S::F32_LANES;
        for (index, places) in places.chunks(PLACES).enumerate() {
            // Fewer places than sums repeat the last one.
            let last = places.len() - 1;
            let offsets: [usize; PLACES] = std::array::from_fn(|i| places[i.min(last)]);
            let dw = &mut dw[index * PLACES * channels..];
            for from in (0..whole).step_by(S::F32_LANES) {
                let mut sums = [simd.splat_f32s(0.0); PLACES];
                for (i, start) in starts.iter().enumerate() {
                    // SAFETY: `backward_kernel` checked that `channels` values lie at each place of each window
                    // and in each row of `dy`, and whole vectors from `from` end before `channels`.
                    unsafe {
                        let dy = vector::<S>(dy, i * channels + from);
                        for (sum, place) in sums.iter_mut().zip(offsets) {
                            let x = vector::<S>(x, start + place + from);
                            *sum = simd.mul_add_e_f32s(x, dy, *sum);
                        }
                    }
                }
                for (k, sum) in sums[..places.len()].iter().enumerate() {
                    let own = &mut dw[k * channels + from..][..S::F32_LANES];
                    let total = simd.add_f32s(simd.partial_load_f32s(own), *sum);
                    simd.partial_store_f32s(own, total);
                }
            }
            for (k, place) in places.iter().enumerate() {
                for c in whole..channels {
                    let products = starts.iter().enumerate();
                    let products = products.map(|(i, s)| x[s + place + c] * dy[i * channels + c]);
                    dw[k * channels + c] += products.sum::<f32>();
                }
            }
        }
    }
}

/// The vector that begins at an index.
///
/// # Safety
/// All of it must lie in the slice.
#[inline(always)]
unsafe fn vector<S: Simd>(values: &[f32], at: usize) -> S::f32s {
    debug_assert!(at + S::F32_LANES <= values.len());
    // SAFETY: as the caller says.
    unsafe { values.as_ptr().add(at).cast::<S::f32s>().read_unaligned() }
}
