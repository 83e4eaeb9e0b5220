//! Sets that are rows, each read once while it is in the first cache.

use super::{Normalized, NormalizedGradients, Statistics};
use crate::threads::for_parts_of;
use crate::{CHUNK, row_sum, vectorized, zeros};

pub(super) fn normalize(
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

pub(super) fn backward(
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
