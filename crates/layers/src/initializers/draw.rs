//! Random bits to samples. One sample takes 32 bits, whatever its distribution, so the value at a
//! place depends only on the stream and the place; no branch and no libm call, so the loops
//! vectorise and give the same bits on every machine.

use sconce_core::{Error, Result, Stream};
use sconce_kernels::{math::ln, vectorized};

/// The number of values of a weight, or an error if no memory could hold them.
pub fn count(dims: &[usize]) -> Result<usize> {
    dims.iter()
        .try_fold(1usize, |product, dim| product.checked_mul(*dim))
        .filter(|count| *count <= isize::MAX as usize / size_of::<f64>())
        .ok_or_else(|| too_large(dims))
}

/// An empty vector with room for every value of a weight.
pub fn reserve<T>(dims: &[usize]) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count(dims)?).map_err(|_| too_large(dims))?;
    Ok(values)
}

/// `value` everywhere.
pub fn filled(dims: &[usize], value: f32) -> Result<Vec<f32>> {
    let mut values = reserve(dims)?;
    values.resize(count(dims)?, value);
    Ok(values)
}

fn too_large(dims: &[usize]) -> Error {
    Error::layer(
        "",
        format!("a weight of shape {dims:?} does not fit into memory; make it smaller"),
    )
}

/// The stream of an initializer with a seed of its own: it does not know the weight, so two weights
/// of one shape get the same values, as in Keras.
pub fn own_stream(seed: Option<u64>) -> Option<Stream> {
    seed.map(|seed| Stream::named(seed, "initializer"))
}

/// Uniform in [low, high).
pub fn uniform(
    dims: &[usize],
    (low, high): (f64, f64),
    seed: Option<u64>,
    stream: &mut Stream,
) -> Result<Vec<f32>> {
    let step = ((high - low) / 16_777_216.0) as f32;
    let low = low as f32;
    sample(
        dims,
        seed,
        stream,
        #[inline(always)]
        |bits| low + (bits >> 8) as i32 as f32 * step,
    )
}

/// Normal with a mean and a standard deviation.
pub fn normal(
    dims: &[usize],
    (mean, stddev): (f64, f64),
    seed: Option<u64>,
    stream: &mut Stream,
) -> Result<Vec<f32>> {
    let (mean, stddev) = (mean as f32, stddev as f32);
    sample(
        dims,
        seed,
        stream,
        #[inline(always)]
        |bits| mean + stddev * standard_normal(tail(bits), bits),
    )
}

/// Normal cut at two standard deviations (of the normal before the cut) on both sides.
pub fn truncated_normal(
    dims: &[usize],
    (mean, stddev): (f64, f64),
    seed: Option<u64>,
    stream: &mut Stream,
) -> Result<Vec<f32>> {
    /// P(|z| > 2).
    const CUT: f32 = 0.045_500_264;
    let (mean, stddev) = (mean as f32, stddev as f32);
    sample(
        dims,
        seed,
        stream,
        #[inline(always)]
        |bits| {
            let tail = CUT + (1.0 - CUT) * tail(bits);
            mean + stddev * standard_normal(tail, bits).clamp(-2.0, 2.0)
        },
    )
}

fn sample(
    dims: &[usize],
    seed: Option<u64>,
    stream: &mut Stream,
    draw: impl Fn(u32) -> f32 + Copy,
) -> Result<Vec<f32>> {
    let mut own = own_stream(seed);
    let stream = own.as_mut().unwrap_or(stream);
    let mut values = reserve(dims)?;
    let mut left = count(dims)?;
    let (mut bits, mut chunk) = ([0u32; 1024], [0f32; 1024]);
    while left > 0 {
        let length = left.min(chunk.len());
        stream.fill(&mut bits[..length]);
        vectorized(
            #[inline(always)]
            || map(&bits, &mut chunk, draw),
        );
        values.extend_from_slice(&chunk[..length]);
        left -= length;
    }
    Ok(values)
}

/// A function of its own, so that the compiler knows the slices to be apart.
#[inline(always)]
fn map(bits: &[u32], values: &mut [f32], draw: impl Fn(u32) -> f32) {
    for (value, bits) in values.iter_mut().zip(bits) {
        *value = draw(*bits);
    }
}

/// The upper 31 bits as a number in (0, 1].
#[inline(always)]
fn tail(bits: u32) -> f32 {
    ((bits >> 1) as i32 as f32 + 0.5) * (1.0 / 2_147_483_648.0)
}

/// The z with P(|Z| > |z|) = `tail`, its sign from the lowest bit: the square root of 2 times erfinv
/// in single precision (Giles, "Approximating the erfinv function", GPU Computing Gems, 2011). Starting
/// from the tail instead of from 1 - tail keeps six standard deviations apart.
#[inline(always)]
fn standard_normal(tail: f32, bits: u32) -> f32 {
    const CENTRE: [f32; 9] = [
        2.810_226_4e-8,
        3.432_739_4e-7,
        -3.523_387_7e-6,
        -4.391_506_5e-6,
        0.000_218_580_87,
        -0.001_253_725,
        -0.004_177_681_6,
        0.246_640_73,
        1.501_409_4,
    ];
    const TAIL: [f32; 9] = [
        -0.000_200_214_26,
        0.000_100_950_56,
        0.001_349_343_2,
        -0.003_673_428_4,
        0.005_739_507_7,
        -0.007_622_461_3,
        0.009_438_870_5,
        1.001_674,
        2.832_976_8,
    ];
    let w = -ln(tail * (2.0 - tail));
    let near = polynomial(&CENTRE, w - 2.5);
    let far = polynomial(&TAIL, w.max(0.0).sqrt() - 3.0);
    let erfinv = (if w < 5.0 { near } else { far }) * (1.0 - tail);
    f32::from_bits((erfinv * std::f32::consts::SQRT_2).to_bits() ^ (bits << 31))
}

#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    coefficients.iter().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two-sided quantiles of the standard normal distribution (scipy.stats.norm.isf(tail / 2)).
    #[test]
    fn quantiles_of_the_normal_distribution() {
        let known = [
            (1.0, 0.0),
            (0.5, 0.674_489_750_196_081_7),
            (0.25, 1.150_349_380_376_008),
            (0.0625, 1.862_731_867_421_651_5),
            (2f32.powi(-8), 2.885_634_912_426_757_3),
            (2f32.powi(-16), 4.324_919_040_826_045),
            (2f32.powi(-24), 5.419_983_174_916_869),
            (2f32.powi(-28), 5.895_951_216_739_57),
        ];
        for (tail, z) in known {
            let found = f64::from(standard_normal(tail, 0));
            assert!(
                (found - z).abs() < 1e-6 + z * 4e-5 * f64::from(tail < 1e-6),
                "{tail}: {found}"
            );
            assert_eq!(standard_normal(tail, 1), -standard_normal(tail, 0));
        }
    }

    #[test]
    fn a_weight_beyond_memory_is_an_error() {
        for dims in [&[usize::MAX, 2][..], &[usize::MAX / 4]] {
            let message = filled(dims, 0.0).unwrap_err().to_string();
            assert!(message.contains("does not fit into memory"), "{message}");
        }
        assert_eq!(filled(&[], 3.0).unwrap(), [3.0]);
        assert!(filled(&[3, 0], 3.0).unwrap().is_empty());
    }
}
