//! Normalization of sets of values, such as the channels of a batch, the rows of a tensor, or groups of
//! channels of each image.
//!
//! Statistics are taken segment by segment, while a segment is in cache: its mean first, then its
//! squared deviations. Segments are joined in f64 (Chan et al., "Algorithms for computing the sample
//! variance", 1983), in their order, so that values far from 0 keep their digits and bits do not
//! depend on the number of threads.

use super::threads::for_parts_of;
use super::{CHUNK, build_parts, for_parts, lane_sum, row_sum, vectorized, zeros};

/// How the values of a tensor fall into sets. Its axes are `[samples, positions, groups, channels,
/// inner]`; a set holds the values of one sample and one group. Scale and shift are per channel of all
/// groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sets {
    /// Parts with statistics of their own; 1 for those of a batch.
    pub samples: usize,
    /// Positions, such as those of an image.
    pub positions: usize,
    /// Groups of channels.
    pub groups: usize,
    /// Channels of a group.
    pub channels: usize,
    /// Values of a channel at a position, where channels come first.
    pub inner: usize,
}

/// What [`normalize`] gives: the results, and mean and variance of each set.
pub struct Normalized {
    /// `(x - mean) / sqrt(variance + epsilon) gamma + beta`.
    pub y: Vec<f32>,
    /// One for each sample and group.
    pub mean: Vec<f32>,
    /// One for each sample and group.
    pub variance: Vec<f32>,
}

/// What [`normalize_backward`] gives.
pub struct NormalizedGradients {
    /// Of the values.
    pub dx: Vec<f32>,
    /// Of the scale of each channel.
    pub dgamma: Vec<f32>,
    /// Of the shift of each channel.
    pub dbeta: Vec<f32>,
}

impl Sets {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.samples * self.sample()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of values in a set.
    pub fn count(&self) -> usize {
        self.positions * self.channels * self.inner
    }

    /// Channels of all groups.
    pub fn width(&self) -> usize {
        self.groups * self.channels
    }

    /// Values of a position.
    fn row(&self) -> usize {
        self.width() * self.inner
    }

    fn sample(&self) -> usize {
        self.positions * self.row()
    }

    /// Whether each set is a row of its own.
    fn is_rows(&self) -> bool {
        self.positions == 1 && self.groups == 1 && self.inner == 1
    }

    /// Values of a segment: a sample, or rows of the only one.
    fn segment(&self) -> usize {
        match self.samples {
            1 => (CHUNK / self.row().max(1)).max(1) * self.row(),
            _ => self.sample(),
        }
    }

    fn segments(&self) -> usize {
        if self.is_empty() { 0 } else { self.len().div_ceil(self.segment()) }
    }

    /// Segments that one thread takes at a time.
    fn per_part(&self) -> usize {
        if self.samples == 1 { 1 } else { (CHUNK / self.sample().max(1)).max(1) }
    }

    /// The sample that a segment is of.
    fn sample_of(&self, segment: usize) -> usize {
        if self.samples == 1 { 0 } else { segment }
    }

    /// The values of a segment.
    fn of<'a>(&self, x: &'a [f32], segment: usize) -> &'a [f32] {
        let start = segment * self.segment();
        &x[start..(start + self.segment()).min(x.len())]
    }

    /// For each channel of a sample, the value of its set.
    fn by_channel<'a>(
        &'a self,
        of_sets: &'a [f32],
        sample: usize,
    ) -> impl Iterator<Item = f32> + 'a {
        let first = sample * self.groups;
        (0..self.width()).map(move |channel| of_sets[first + channel / self.channels])
    }

    /// How often a row of channels is repeated, so that loops over it fill vectors.
    fn repeats(&self) -> usize {
        let rows = self.segment() / self.row().max(1);
        (256 / self.width().max(1)).clamp(1, rows.max(1))
    }

    /// Runs `body(segment, out)` for every segment, each with its `2 width` places of the result.
    fn pairs(&self, body: impl Fn(usize, &mut [f32], &mut [f32]) + Sync) -> Vec<f32> {
        let width = self.width();
        let mut pairs = vec![0.0; self.segments() * 2 * width];
        for_parts(&mut pairs, self.per_part() * 2 * width, |start, part| {
            for (i, pair) in part.chunks_exact_mut(2 * width).enumerate() {
                let (first, second) = pair.split_at_mut(width);
                body(start / (2 * width) + i, first, second);
            }
        });
        pairs
    }

    /// Runs `body(segment, out)` for every segment of a result of as many values.
    fn map(&self, body: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
        let segment = self.segment();
        build_parts(self.len(), self.per_part() * segment, |start, part| {
            for (i, out) in part.chunks_mut(segment.max(1)).enumerate() {
                body(start / segment + i, out);
            }
        })
    }
}

/// Normalizes each set to mean 0 and variance 1, then scales and shifts channels. Without `center`
/// nothing is subtracted, and the mean of the squares stands for the variance.
pub fn normalize(
    x: &[f32],
    sets: Sets,
    center: bool,
    epsilon: f32,
    gamma: Option<&[f32]>,
    beta: Option<&[f32]>,
) -> Normalized {
    if sets.is_rows() {
        return normalize_rows(x, sets.channels, center, epsilon, gamma, beta);
    }
    let (mean, variance) = moments(x, sets, center);
    let y = normalize_with(x, sets, &mean, &variance, epsilon, gamma, beta);
    Normalized { y, mean, variance }
}

fn normalize_rows(
    x: &[f32],
    width: usize,
    center: bool,
    epsilon: f32,
    gamma: Option<&[f32]>,
    beta: Option<&[f32]>,
) -> Normalized {
    let rows = x.len() / width.max(1);
    let mut y = zeros(x.len());
    let mut moments = vec![0.0; 2 * rows];
    let (gamma, beta) = (or(gamma, 1.0, width), or(beta, 0.0, width));
    let per_part = (CHUNK / width.max(1)).max(1);
    for_parts_of(
        [(&mut y[..], per_part * width), (&mut moments[..], per_part * 2)],
        |part, [y, moments]| {
            let (gamma, beta) = (gamma.as_slice(), beta.as_slice());
            let x = &x[part * per_part * width..][..y.len()];
            let rows = y.chunks_exact_mut(width).zip(x.chunks_exact(width));
            for ((y, x), moments) in rows.zip(moments.chunks_exact_mut(2)) {
                let mean = if center { row_sum([x], |[x]| x) / width as f32 } else { 0.0 };
                let variance = row_sum([x], |[x]| (x - mean) * (x - mean)) / width as f32;
                let inverse = 1.0 / (variance + epsilon).sqrt();
                vectorized(
                    #[inline(always)]
                    || {
                        for (((y, x), gamma), beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
                            *y = (x - mean) * (inverse * gamma) + beta;
                        }
                    },
                );
                moments.copy_from_slice(&[mean, variance]);
            }
        },
    );
    let (mean, variance) = moments.as_chunks::<2>().0.iter().map(|[m, v]| (*m, *v)).unzip();
    Normalized { y, mean, variance }
}

fn or(values: Option<&[f32]>, default: f32, width: usize) -> Vec<f32> {
    values.map_or_else(|| vec![default; width], <[f32]>::to_vec)
}

/// Mean and variance of each set.
fn moments(x: &[f32], sets: Sets, center: bool) -> (Vec<f32>, Vec<f32>) {
    let width = sets.width();
    let pairs = sets.pairs(|segment, mean, squares| {
        segment_moments(sets.of(x, segment), sets, mean, squares);
    });
    let mut joined = vec![Moments::default(); sets.samples * sets.groups];
    for (segment, pair) in pairs.chunks_exact((2 * width).max(1)).enumerate() {
        let count = sets.of(x, segment).len() / width;
        let (mean, squares) = pair.split_at(width);
        for (channel, (mean, squares)) in mean.iter().zip(squares).enumerate() {
            let set = sets.sample_of(segment) * sets.groups + channel / sets.channels;
            joined[set].join(Moments {
                count: count as f64,
                mean: f64::from(*mean),
                squares: f64::from(*squares),
            });
        }
    }
    joined
        .iter()
        .map(|set| {
            let variance = set.squares / set.count.max(1.0);
            match center {
                true => (set.mean as f32, variance as f32),
                false => (0.0, (variance + set.mean * set.mean) as f32),
            }
        })
        .unzip()
}

#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn join(&mut self, other: Self) {
        let count = self.count + other.count;
        if count == 0.0 {
            return;
        }
        let distance = other.mean - self.mean;
        self.mean += distance * other.count / count;
        self.squares += other.squares + distance * distance * self.count * other.count / count;
        self.count = count;
    }
}

/// Mean and squared deviations of each channel in a segment.
fn segment_moments(x: &[f32], sets: Sets, mean: &mut [f32], squares: &mut [f32]) {
    let (width, inner) = (sets.width(), sets.inner);
    let mut joined = vec![Moments::default(); width];
    if inner > 1 {
        for (run, x) in x.chunks_exact(inner).enumerate() {
            let (mean, squares) = vectorized(
                #[inline(always)]
                || {
                    let mean = lane_sum([x], |[x]| x) / inner as f32;
                    (mean, lane_sum([x], |[x]| (x - mean) * (x - mean)))
                },
            );
            let (mean, squares) = (f64::from(mean), f64::from(squares));
            joined[run % width].join(Moments { count: inner as f64, mean, squares });
        }
    } else {
        // A sample may be larger than the cache.
        for block in x.chunks((CHUNK / width).max(1) * width) {
            let wide = width * sets.repeats();
            let count = (block.len() / width) as f32;
            let (mut sums, mut means) = (vec![0f32; wide], vec![0f32; wide]);
            column_sums(block, &mut sums, |_, x| x);
            fold(&mut sums, width);
            for (mean, sum) in means.chunks_mut(width).flat_map(|m| m.iter_mut().zip(&sums)) {
                *mean = sum / count;
            }
            sums.fill(0.0);
            column_sums(block, &mut sums, |i, x| (x - means[i]) * (x - means[i]));
            fold(&mut sums, width);
            for (joined, (mean, sum)) in joined.iter_mut().zip(means.iter().zip(&sums)) {
                let (mean, squares) = (f64::from(*mean), f64::from(*sum));
                joined.join(Moments { count: f64::from(count), mean, squares });
            }
        }
    }
    for ((mean, squares), joined) in mean.iter_mut().zip(squares).zip(&joined) {
        (*mean, *squares) = (joined.mean as f32, joined.squares as f32);
    }
}

/// Adds `f(column, x)` to the sum of each column of rows as wide as `sums`; the last may be shorter.
#[inline(always)]
fn column_sums(x: &[f32], sums: &mut [f32], f: impl Fn(usize, f32) -> f32) {
    let wide = sums.len();
    vectorized(
        #[inline(always)]
        || {
            for x in x.chunks(wide) {
                for (i, (sum, x)) in sums.iter_mut().zip(x).enumerate() {
                    *sum += f(i, *x);
                }
            }
        },
    );
}

/// Adds up the repeats of each column in the first.
fn fold(sums: &mut [f32], width: usize) {
    let (first, rest) = sums.split_at_mut(width.min(sums.len()));
    for repeat in rest.chunks_exact(width) {
        first.iter_mut().zip(repeat).for_each(|(sum, more)| *sum += more);
    }
}

/// A number for each channel, repeated until it fills vectors.
fn repeat(values: impl Iterator<Item = f32>, sets: Sets) -> Vec<f32> {
    let once: Vec<f32> = values.collect();
    if sets.inner == 1 { once.repeat(sets.repeats()) } else { once }
}

fn inverses(variance: &[f32], epsilon: f32) -> Vec<f32> {
    variance.iter().map(|variance| 1.0 / (variance + epsilon).sqrt()).collect()
}

/// As [`normalize`], with a mean and a variance for each set that are given.
pub fn normalize_with(
    x: &[f32],
    sets: Sets,
    mean: &[f32],
    variance: &[f32],
    epsilon: f32,
    gamma: Option<&[f32]>,
    beta: Option<&[f32]>,
) -> Vec<f32> {
    let inverse = inverses(variance, epsilon);
    sets.map(|segment, y| {
        let sample = sets.sample_of(segment);
        let means = repeat(sets.by_channel(mean, sample), sets);
        let scale = |(channel, inverse): (usize, f32)| inverse * gamma.map_or(1.0, |g| g[channel]);
        let scales = repeat(sets.by_channel(&inverse, sample).enumerate().map(scale), sets);
        let shifts = repeat((0..sets.width()).map(|c| beta.map_or(0.0, |b| b[c])), sets);
        let x = sets.of(x, segment);
        vectorized(
            #[inline(always)]
            || {
                if sets.inner > 1 {
                    let runs = y.chunks_exact_mut(sets.inner).zip(x.chunks_exact(sets.inner));
                    for (run, (y, x)) in runs.enumerate() {
                        let c = run % means.len();
                        let (mean, scale, shift) = (means[c], scales[c], shifts[c]);
                        for (y, x) in y.iter_mut().zip(x) {
                            *y = (x - mean) * scale + shift;
                        }
                    }
                    return;
                }
                for (y, x) in y.chunks_mut(means.len()).zip(x.chunks(means.len())) {
                    let values = y.iter_mut().zip(x).zip(&means).zip(&scales).zip(&shifts);
                    for ((((y, x), mean), scale), shift) in values {
                        *y = (x - mean) * scale + shift;
                    }
                }
            },
        );
    })
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

/// Statistics as [`normalize`] gave them, or as they were given, for [`normalize_backward`].
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

/// The gradients of [`normalize`] and [`normalize_with`].
pub fn normalize_backward(
    x: &[f32],
    sets: Sets,
    upstream: Upstream<'_>,
    statistics: Statistics<'_>,
    gamma: Option<&[f32]>,
) -> NormalizedGradients {
    let own = upstream.dmean.is_none() && upstream.dvariance.is_none() && !statistics.given;
    if sets.is_rows() && own {
        return rows_backward(x, upstream.dy, sets.channels, statistics, gamma);
    }
    let Statistics { mean, variance, given, center, epsilon } = statistics;
    let (dy, width) = (upstream.dy, sets.width());
    let inverse = inverses(variance, epsilon);
    let pairs = sets.pairs(|segment, dbeta, dgamma| {
        let sample = sets.sample_of(segment);
        let means = repeat(sets.by_channel(mean, sample), sets);
        let inverses = sets.by_channel(&inverse, sample);
        let (x, dy) = (sets.of(x, segment), sets.of(dy, segment));
        product_sums(x, dy, sets, &means, dbeta, dgamma);
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
    let dx = sets.map(|segment, dx| {
        let sample = sets.sample_of(segment);
        let by_set = |values: &[f32]| repeat(sets.by_channel(values, sample), sets);
        let (means, slopes, offsets) = (by_set(mean), by_set(&slopes), by_set(&offsets));
        let scale = |(channel, inverse): (usize, f32)| inverse * gamma.map_or(1.0, |g| g[channel]);
        let scales = repeat(sets.by_channel(&inverse, sample).enumerate().map(scale), sets);
        let (x, dy) = (sets.of(x, segment), sets.of(dy, segment));
        vectorized(
            #[inline(always)]
            || {
                if sets.inner > 1 {
                    let runs = dx.chunks_exact_mut(sets.inner).zip(x.chunks_exact(sets.inner));
                    for (run, ((dx, x), dy)) in runs.zip(dy.chunks_exact(sets.inner)).enumerate() {
                        let c = run % means.len();
                        let (mean, scale, slope, offset) =
                            (means[c], scales[c], slopes[c], offsets[c]);
                        for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
                            *dx = scale * dy + slope * (x - mean) + offset;
                        }
                    }
                    return;
                }
                let wide = means.len();
                let rows = dx.chunks_mut(wide).zip(x.chunks(wide)).zip(dy.chunks(wide));
                for ((dx, x), dy) in rows {
                    let values = dx.iter_mut().zip(x).zip(dy);
                    let columns = means.iter().zip(&scales).zip(&slopes).zip(&offsets);
                    for (((dx, x), dy), (((mean, scale), slope), offset)) in values.zip(columns) {
                        *dx = scale * dy + slope * (x - mean) + offset;
                    }
                }
            },
        );
    });
    let f32s = |values: &[f64]| values.iter().map(|v| *v as f32).collect();
    NormalizedGradients { dx, dgamma: f32s(&dgamma), dbeta: f32s(&dbeta) }
}

/// For each channel of a segment the sums of dy and of dy (x - mean).
fn product_sums(
    x: &[f32],
    dy: &[f32],
    sets: Sets,
    means: &[f32],
    plain: &mut [f32],
    centered: &mut [f32],
) {
    let width = sets.width();
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
        vectorized(
            #[inline(always)]
            || {
                for (x, dy) in x.chunks(wide).zip(dy.chunks(wide)) {
                    let places = sums.iter_mut().zip(&mut products);
                    for (((sum, product), mean), (x, dy)) in places.zip(means).zip(x.iter().zip(dy))
                    {
                        *sum += dy;
                        *product += dy * (x - mean);
                    }
                }
            },
        );
        fold(&mut sums, width);
        fold(&mut products, width);
        plain.iter_mut().zip(&sums).for_each(|(all, sum)| *all += sum);
        centered.iter_mut().zip(&products).for_each(|(all, sum)| *all += sum);
    }
}

fn rows_backward(
    x: &[f32],
    dy: &[f32],
    width: usize,
    statistics: Statistics<'_>,
    gamma: Option<&[f32]>,
) -> NormalizedGradients {
    let per_part = (CHUNK / width.max(1)).max(1);
    let parts = x.len().div_ceil((per_part * width).max(1));
    let mut dx = zeros(x.len());
    let mut sums = vec![0.0; parts * 2 * width];
    let gamma = or(gamma, 1.0, width);
    let center = statistics.center;
    for_parts_of(
        [(&mut dx[..], per_part * width), (&mut sums[..], 2 * width)],
        |part, [dx, sums]| {
            let (dgamma, dbeta) = sums.split_at_mut(width);
            let gamma = gamma.as_slice();
            let first = part * per_part;
            let (x, dy) = (&x[first * width..][..dx.len()], &dy[first * width..][..dx.len()]);
            let rows = dx.chunks_exact_mut(width).zip(x.chunks_exact(width));
            for (row, ((dx, x), dy)) in rows.zip(dy.chunks_exact(width)).enumerate() {
                let mean = statistics.mean[first + row];
                let variance = statistics.variance[first + row];
                let inverse = 1.0 / (variance + statistics.epsilon).sqrt();
                let count = width as f32;
                let sum = row_sum([gamma, x, dy], |[gamma, x, dy]| gamma * dy * (x - mean));
                let slope = -inverse * inverse * inverse * sum / count;
                let offset = match center {
                    true => -inverse * row_sum([gamma, dy], |[gamma, dy]| gamma * dy) / count,
                    false => 0.0,
                };
                vectorized(
                    #[inline(always)]
                    || {
                        let values = dx.iter_mut().zip(x).zip(dy).zip(gamma);
                        let columns = dgamma.iter_mut().zip(dbeta.iter_mut());
                        for ((((dx, x), dy), gamma), (dgamma, dbeta)) in values.zip(columns) {
                            let centered = x - mean;
                            *dx = inverse * gamma * dy + slope * centered + offset;
                            *dgamma += dy * centered * inverse;
                            *dbeta += dy;
                        }
                    },
                );
            }
        },
    );
    let (mut dgamma, mut dbeta) = (vec![0f32; width], vec![0f32; width]);
    for part in sums.chunks_exact((2 * width).max(1)) {
        let (of_gamma, of_beta) = part.split_at(width);
        dgamma.iter_mut().zip(of_gamma).for_each(|(all, sum)| *all += sum);
        dbeta.iter_mut().zip(of_beta).for_each(|(all, sum)| *all += sum);
    }
    NormalizedGradients { dx, dgamma, dbeta }
}

#[cfg(test)]
mod tests;
