//! The gradients of a normalization.

use super::{Function, Sets, fold, inverses, repeat, rows, scales_and_shifts};
use crate::{CHUNK, lane_sum, vectorized};

/// What [`normalize_backward`] gives.
pub struct NormalizedGradients {
    /// Of the values.
    pub dx: Vec<f32>,
    /// Of the scale of each channel.
    pub dgamma: Vec<f32>,
    /// Of the shift of each channel.
    pub dbeta: Vec<f32>,
}

/// Gradients of what comes out, for [`normalize_backward`].
#[derive(Clone, Copy)]
pub struct Upstream<'a> {
    /// Of the results.
    pub dy: &'a [f32],
    /// Of the mean of each set, if anything was computed from it.
    pub dmean: Option<&'a [f32]>,
    /// Of the variance of each set, if anything was computed from it.
    pub dvariance: Option<&'a [f32]>,
}

/// Statistics as [`normalize`](super::normalize) gave them, or as they were given, for [`normalize_backward`].
#[derive(Clone, Copy)]
pub struct Statistics<'a> {
    /// One for each set.
    pub mean: &'a [f32],
    /// One for each set.
    pub variance: &'a [f32],
    /// Whether they came from elsewhere, and do not depend on the values.
    pub given: bool,
    /// Whether the mean was subtracted.
    pub center: bool,
    /// Added to the variance.
    pub epsilon: f32,
}

/// The gradients of [`normalize`](super::normalize) and [`normalize_with`](super::normalize_with). What a
/// function was applied to is computed again, which takes less time than reading the results.
pub fn normalize_backward(
    x: &[f32],
    sets: Sets,
    upstream: Upstream<'_>,
    statistics: Statistics<'_>,
    gamma: Option<&[f32]>,
    beta: Option<&[f32]>,
    function: Option<Function<'_>>,
) -> NormalizedGradients {
    let own = upstream.dmean.is_none() && upstream.dvariance.is_none() && !statistics.given;
    if sets.is_rows() && own {
        return rows::backward(x, upstream.dy, sets.channels, statistics, gamma);
    }
    let Statistics { mean, variance, given, center, epsilon } = statistics;
    let (dy, width) = (upstream.dy, sets.width());
    let inverse = inverses(variance, epsilon);
    let pairs = sets.pairs(|segment, dbeta, dgamma| {
        let sample = sets.sample_of(segment);
        let means = repeat(sets.by_channel(mean, sample), sets);
        let inverses = sets.by_channel(&inverse, sample);
        let (x, dy) = (sets.of(x, segment), sets.of(dy, segment));
        let columns = scales_and_shifts(sets, sample, &inverse, gamma, beta);
        let mut chain = Chain::new(function, &means, &columns);
        product_sums(x, dy, sets, &mut chain, dbeta, dgamma);
        dgamma.iter_mut().zip(inverses).for_each(|(sum, inverse)| *sum *= inverse);
    });
    let (mut dgamma, mut dbeta) = (vec![0f64; width], vec![0f64; width]);
    // Of each set: the sums of gamma dy and of gamma dy times the normalized value.
    let mut sums = vec![[0f64; 2]; sets.samples * sets.groups];
    for (segment, pair) in pairs.chunks_exact((2 * width).max(1)).enumerate() {
        let first = sets.sample_of(segment) * sets.groups;
        let (plain, scaled) = pair.split_at(width);
        for (channel, (plain, scaled)) in plain.iter().zip(scaled).enumerate() {
            let (plain, scaled) = (f64::from(*plain), f64::from(*scaled));
            let gamma = gamma.map_or(1.0, |gamma| f64::from(gamma[channel]));
            dbeta[channel] += plain;
            dgamma[channel] += scaled;
            let [sum, sum_scaled] = &mut sums[first + channel / sets.channels];
            *sum += gamma * plain;
            *sum_scaled += gamma * scaled;
        }
    }
    // dx = inverse gamma dy + slope (x - mean) + offset, slope and offset of each set.
    let count = sets.count().max(1) as f64;
    let at = |values: Option<&[f32]>, set: usize| values.map_or(0.0, |v| f64::from(v[set]));
    let slope = |set: usize| {
        let inverse = f64::from(inverse[set]);
        (2.0 * at(upstream.dvariance, set) - inverse * inverse * sums[set][1]) / count
    };
    let offset =
        |set: usize| (at(upstream.dmean, set) - f64::from(inverse[set]) * sums[set][0]) / count;
    let of_sets = |f: &dyn Fn(usize) -> f64, keep: bool| -> Vec<f32> {
        (0..sums.len()).map(|set| if keep { f(set) as f32 } else { 0.0 }).collect()
    };
    let slopes = of_sets(&slope, !given);
    let offsets = of_sets(&offset, !given && center);
    let dx = sets.map(dy, |segment, dx| {
        let sample = sets.sample_of(segment);
        let by_set = |values: &[f32]| repeat(sets.by_channel(values, sample), sets);
        let (means, slopes, offsets) = (by_set(mean), by_set(&slopes), by_set(&offsets));
        let columns = scales_and_shifts(sets, sample, &inverse, gamma, beta);
        let [scales, _] = &columns;
        let x = sets.of(x, segment);
        if sets.inner > 1 {
            vectorized(
                #[inline(always)]
                || {
                    let runs = dx.chunks_exact_mut(sets.inner).zip(x.chunks_exact(sets.inner));
                    for (run, (dx, x)) in runs.enumerate() {
                        let c = run % means.len();
                        let (mean, scale, slope, offset) =
                            (means[c], scales[c], slopes[c], offsets[c]);
                        for (dx, x) in dx.iter_mut().zip(x) {
                            *dx = scale * *dx + slope * (x - mean) + offset;
                        }
                    }
                },
            );
            return;
        }
        let wide = means.len();
        let mut chain = Chain::new(function, &means, &columns);
        let piece = chain.piece(x.len());
        for (dx, x) in dx.chunks_mut(piece).zip(x.chunks(piece)) {
            chain.apply(x, dx);
            vectorized(
                #[inline(always)]
                || {
                    for (dx, x) in dx.chunks_mut(wide).zip(x.chunks(wide)) {
                        let columns = means.iter().zip(scales).zip(&slopes).zip(&offsets);
                        for ((dx, x), (((mean, scale), slope), offset)) in
                            dx.iter_mut().zip(x).zip(columns)
                        {
                            *dx = scale * *dx + slope * (x - mean) + offset;
                        }
                    }
                },
            );
        }
    });
    let f32s = |values: &[f64]| values.iter().map(|v| *v as f32).collect();
    NormalizedGradients { dx, dgamma: f32s(&dgamma), dbeta: f32s(&dbeta) }
}

/// The gradient before a function, in pieces that stay in the first cache; without one, the gradient as it is.
struct Chain<'a> {
    function: Option<Function<'a>>,
    means: &'a [f32],
    columns: &'a [Vec<f32>; 2],
    y: Vec<f32>,
    dz: Vec<f32>,
}

impl<'a> Chain<'a> {
    fn new(function: Option<Function<'a>>, means: &'a [f32], columns: &'a [Vec<f32>; 2]) -> Self {
        Self { function, means, columns, y: Vec::new(), dz: Vec::new() }
    }

    /// Values of a piece of `len` values, in whole rows of columns.
    fn piece(&self, len: usize) -> usize {
        const PIECE: usize = 2048;
        let wide = self.means.len().max(1);
        if self.function.is_some() { (PIECE / wide).max(1) * wide } else { len.max(1) }
    }

    /// Turns the gradient of a piece's results into that before the function.
    fn apply(&mut self, x: &[f32], gradient: &mut [f32]) {
        let Some(function) = self.function else { return };
        let (means, [scales, shifts]) = (self.means, self.columns);
        let wide = means.len().max(1);
        self.y.resize(x.len(), 0.0);
        let y = &mut self.y[..];
        vectorized(
            #[inline(always)]
            || {
                for (y, x) in y.chunks_mut(wide).zip(x.chunks(wide)) {
                    let values = y.iter_mut().zip(x).zip(means).zip(scales).zip(shifts);
                    for ((((y, x), mean), scale), shift) in values {
                        *y = (x - mean) * scale + shift;
                    }
                }
            },
        );
        (function.map)(y);
        (function.chain)(y, gradient);
    }

    /// Calls `body(x, dz)` for the pieces of a gradient.
    fn each(&mut self, x: &[f32], dy: &[f32], mut body: impl FnMut(&[f32], &[f32])) {
        if self.function.is_none() {
            return body(x, dy);
        }
        let piece = self.piece(x.len());
        for (x, dy) in x.chunks(piece).zip(dy.chunks(piece)) {
            let mut dz = std::mem::take(&mut self.dz);
            dz.clear();
            dz.extend_from_slice(dy);
            self.apply(x, &mut dz);
            body(x, &dz);
            self.dz = dz;
        }
    }
}

/// For each channel of a segment the sums of dy and of dy (x - mean).
fn product_sums(
    x: &[f32],
    dy: &[f32],
    sets: Sets,
    chain: &mut Chain<'_>,
    plain: &mut [f32],
    centered: &mut [f32],
) {
    let (width, means) = (sets.width(), chain.means);
    if sets.inner > 1 {
        let runs = x.chunks_exact(sets.inner).zip(dy.chunks_exact(sets.inner));
        for (run, (x, dy)) in runs.enumerate() {
            let c = run % width;
            let (sum, product) = vectorized(
                #[inline(always)]
                || {
                    let mean = means[c];
                    let product = |[x, dy]: [f32; 2]| dy * (x - mean);
                    (lane_sum([dy], |[dy]| dy), lane_sum([x, dy], product))
                },
            );
            plain[c] += sum;
            centered[c] += product;
        }
        return;
    }
    let wide = means.len();
    let block = (CHUNK / wide).max(1) * wide;
    for (x, dy) in x.chunks(block).zip(dy.chunks(block)) {
        let (mut sums, mut products) = (vec![0f32; wide], vec![0f32; wide]);
        chain.each(x, dy, |x, dy| {
            vectorized(
                #[inline(always)]
                || {
                    for (x, dy) in x.chunks(wide).zip(dy.chunks(wide)) {
                        let places = sums.iter_mut().zip(&mut products).zip(means);
                        for (((sum, product), mean), (x, dy)) in places.zip(x.iter().zip(dy)) {
                            *sum += dy;
                            *product += dy * (x - mean);
                        }
                    }
                },
            );
        });
        fold(&mut sums, width);
        fold(&mut products, width);
        plain.iter_mut().zip(&sums).for_each(|(all, sum)| *all += sum);
        centered.iter_mut().zip(&products).for_each(|(all, sum)| *all += sum);
    }
}
