//! Normalization of sets of values, such as the channels of a batch, the rows of a tensor, or groups of
//! channels of each image.
//!
//! Statistics are taken segment by segment, while a segment is in cache: its mean first, then its
//! squared deviations. Segments are joined in f64 (Chan et al., "Algorithms for computing the sample
//! variance", 1983), in their order, so that values far from 0 keep their digits and bits do not
//! depend on the number of threads.

mod gradients;
mod rows;

pub use gradients::{NormalizedGradients, Statistics, Upstream, normalize_backward};

use super::{CHUNK, copy_parts, for_parts, lane_sum, vectorized};

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

/// An elementwise function of what comes out, whose slope is a function of its results alone.
#[derive(Clone, Copy)]
pub struct Function<'a> {
    /// `y = f(y)`.
    pub map: &'a (dyn Fn(&mut [f32]) + Sync),
    /// `gradient *= f'`, from the results and a gradient.
    pub chain: &'a (dyn Fn(&[f32], &mut [f32]) + Sync),
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

    /// Whether [`normalize`] and its gradients take a function along: sets over many rows, channels last.
    pub fn takes_function(&self) -> bool {
        self.inner == 1 && !self.is_rows()
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

    /// A copy of values of which `body(segment, values)` changes each segment.
    fn map(&self, values: &[f32], body: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
        let segment = self.segment();
        copy_parts(&values[..self.len()], self.per_part() * segment, |start, part| {
            for (i, out) in part.chunks_mut(segment.max(1)).enumerate() {
                body(start / segment + i, out);
            }
        })
    }
}

/// Normalizes each set to mean 0 and variance 1, then scales and shifts channels. Without `center`
/// nothing is subtracted, and the mean of the squares stands for the variance. `function` is applied to what comes
/// out, where the sets [take one](Sets::takes_function).
pub fn normalize(
    x: &[f32],
    sets: Sets,
    center: bool,
    epsilon: f32,
    gamma: Option<&[f32]>,
    beta: Option<&[f32]>,
    function: Option<Function<'_>>,
) -> Normalized {
    if sets.is_rows() {
        return rows::normalize(x, sets.channels, center, epsilon, gamma, beta);
    }
    let (mean, variance) = moments(x, sets, center);
    let y = normalize_with(x, sets, (&mean, &variance), epsilon, gamma, beta, function);
    Normalized { y, mean, variance }
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
            column_sums(block, &mut sums, None);
            fold(&mut sums, width);
            for (mean, sum) in means.chunks_mut(width).flat_map(|m| m.iter_mut().zip(&sums)) {
                *mean = sum / count;
            }
            sums.fill(0.0);
            column_sums(block, &mut sums, Some(&means));
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

/// Adds rows as wide as `sums` to them, or the squares of their distances from `means`; the last row may be shorter.
fn column_sums(x: &[f32], sums: &mut [f32], means: Option<&[f32]>) {
    let wide = sums.len();
    vectorized(
        #[inline(always)]
        || match means {
            None => {
                for x in x.chunks(wide) {
                    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
                }
            }
            Some(means) => {
                for x in x.chunks(wide) {
                    for ((sum, x), mean) in sums.iter_mut().zip(x).zip(means) {
                        *sum += (x - mean) * (x - mean);
                    }
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

/// The scale and the shift of each channel of a sample, repeated as [`repeat`] does.
fn scales_and_shifts(
    sets: Sets,
    sample: usize,
    inverse: &[f32],
    gamma: Option<&[f32]>,
    beta: Option<&[f32]>,
) -> [Vec<f32>; 2] {
    let scale = |(channel, inverse): (usize, f32)| inverse * gamma.map_or(1.0, |g| g[channel]);
    let scales = sets.by_channel(inverse, sample).enumerate().map(scale);
    let shifts = (0..sets.width()).map(|c| beta.map_or(0.0, |b| b[c]));
    [repeat(scales, sets), repeat(shifts, sets)]
}

/// As [`normalize`], with a mean and a variance for each set that are given.
pub fn normalize_with(
    x: &[f32],
    sets: Sets,
    (mean, variance): (&[f32], &[f32]),
    epsilon: f32,
    gamma: Option<&[f32]>,
    beta: Option<&[f32]>,
    function: Option<Function<'_>>,
) -> Vec<f32> {
    let inverse = inverses(variance, epsilon);
    sets.map(x, |segment, y| {
        let sample = sets.sample_of(segment);
        let means = repeat(sets.by_channel(mean, sample), sets);
        let [scales, shifts] = scales_and_shifts(sets, sample, &inverse, gamma, beta);
        vectorized(
            #[inline(always)]
            || {
                if sets.inner > 1 {
                    for (run, y) in y.chunks_exact_mut(sets.inner).enumerate() {
                        let c = run % means.len();
                        let (mean, scale, shift) = (means[c], scales[c], shifts[c]);
                        for y in y {
                            *y = (*y - mean) * scale + shift;
                        }
                    }
                    return;
                }
                for y in y.chunks_mut(means.len()) {
                    let values = y.iter_mut().zip(&means).zip(&scales).zip(&shifts);
                    for (((y, mean), scale), shift) in values {
                        *y = (*y - mean) * scale + shift;
                    }
                }
            },
        );
        if let Some(function) = function {
            (function.map)(y);
        }
    })
}

#[cfg(test)]
mod tests;
