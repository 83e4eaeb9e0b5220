//! Convolution with one filter for each channel.

use crate::vectorized;
use std::mem::MaybeUninit;

/// A kernel `[places, channels]` and which of its rows lie where.
pub(super) struct Weights<'a> {
    pub kernel: &'a [f32],
    /// Where a row of the kernel begins, and how far from the start of a window it applies.
    pub taps: &'a [(usize, usize)],
    pub bias: Option<&'a [f32]>,
    pub channels: usize,
}

/// Channels whose sums stay in registers.
const LANES: usize = 16;

/// `out[out_rows[i] + c] = bias[c] + sum_k x[starts[i] + place k + c] kernel[k, c]`.
pub(super) fn forward(
    x: &[f32],
    starts: &[usize],
    weights: &Weights<'_>,
    out: &mut [MaybeUninit<f32>],
    out_rows: &[usize],
) {
    let channels = weights.channels;
    vectorized(
        #[inline(always)]
        || {
            for (start, out_row) in starts.iter().zip(out_rows) {
                let out = &mut out[*out_row..out_row + channels];
                let (blocks, rest) = out.as_chunks_mut::<LANES>();
                for (index, block) in blocks.iter_mut().enumerate() {
                    let from = index * LANES;
                    let mut sums = [0.0; LANES];
                    if let Some(bias) = weights.bias {
                        sums.copy_from_slice(&bias[from..from + LANES]);
                    }
                    for (row, place) in weights.taps {
                        let x = &x[start + place + from..][..LANES];
                        let kernel = &weights.kernel[row + from..][..LANES];
                        for ((sum, x), w) in sums.iter_mut().zip(x).zip(kernel) {
                            *sum += x * w;
                        }
                    }
                    for (out, sum) in block.iter_mut().zip(sums) {
                        out.write(sum);
                    }
                }
                let from = channels - rest.len();
                for (c, out) in (from..channels).zip(rest) {
                    let mut sum = weights.bias.map_or(0.0, |bias| bias[c]);
                    for (row, place) in weights.taps {
                        sum += x[start + place + c] * weights.kernel[row + c];
                    }
                    out.write(sum);
                }
            }
        },
    );
}

/// `dw[k, c] += sum_i x[starts[i] + places[k] + c] dy[i, c]`.
pub(super) fn backward_kernel(
    x: &[f32],
    starts: &[usize],
    places: &[usize],
    dy: &[f32],
    channels: usize,
    dw: &mut [f32],
) {
    vectorized(
        #[inline(always)]
        || {
            for (dw, place) in dw.chunks_exact_mut(channels).zip(places) {
                for (start, dy) in starts.iter().zip(dy.chunks_exact(channels)) {
                    let x = &x[start + place..][..channels];
                    for ((sum, x), dy) in dw.iter_mut().zip(x).zip(dy) {
                        *sum += x * dy;
                    }
                }
            }
        },
    );
}
