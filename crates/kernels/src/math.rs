//! Elementary functions on f32 in plain arithmetic, so that loops over them vectorise and give the
//! same bits on every CPU (libm's do neither). Each states its largest error, measured in its test
//! against f64.

// Coefficients stand as their sources print them.
#![allow(clippy::excessive_precision)]

/// e^x; error below 2 ulp, 0 below -104, infinite above 88.73. Cody and Waite's reduction with a
/// polynomial of degree 6 (Cephes `expf`).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding -0.0 changes nothing, and the compiler knows.
    exp_sum(x, -0.0)
}

/// e^x for x up to 0, of which results below e^-87 are 0: none is subnormal, which would take processors
/// a hundred cycles.
#[inline(always)]
pub fn exp_of_negative(x: f32) -> f32 {
    // Not `max`, of which a NaN would not come out.
    let (y, n) = exp_parts(if x < -87.0 { -87.0 } else { x }, -0.0);
    if x < -87.0 { 0.0 } else { y * power_of_two(n) }
}

/// e^(x + small), for |small| < 0.1.
#[inline(always)]
fn exp_sum(x: f32, small: f32) -> f32 {
    let (y, n) = exp_parts(x.clamp(-104.0, 89.0), small);
    // 2^n in two steps, so that results near the ends of the range (and subnormals) are right.
    let half = n >> 1;
    let y = y * power_of_two(half) * power_of_two(n.wrapping_sub(half));
    if x.is_nan() { x } else { y }
}

/// e^(x + small) = y 2^n, with y near 1.
#[inline(always)]
fn exp_parts(x: f32, small: f32) -> (f32, i32) {
    // Adding 1.5 * 2^23 rounds to the nearest integer, in the low bits, without a libm call.
    const ROUND: f32 = 12_582_912.0;
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * 0.693_359_375 - n * -2.121_944_4e-4 + small;
    let p = 1.987_569_1e-4f32;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5e-1;
    let y = p * r * r + r + 1.0;
    (y, rounded.to_bits().wrapping_sub(ROUND.to_bits()) as i32)
}

/// 2^n for n in -126..=127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// ln(x); error below 2 ulp for normal x > 0 (Cephes `logf`). -inf at 0, NaN below.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    let bits = scaled.to_bits();
    let exponent = ((bits >> 23) as i32).wrapping_sub(if tiny { 126 + 23 } else { 126 });
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000);
    let low = mantissa < std::f32::consts::FRAC_1_SQRT_2;
    let e = exponent.wrapping_sub(i32::from(low)) as f32;
    let m = if low { mantissa + mantissa - 1.0 } else { mantissa - 1.0 };
    let z = m * m;
    let p = 7.037_683_6e-2f32;
    let p = p * m - 1.151_461e-1;
    let p = p * m + 1.167_699_9e-1;
    let p = p * m - 1.242_014_1e-1;
    let p = p * m + 1.424_932_3e-1;
    let p = p * m - 1.666_805_7e-1;
    let p = p * m + 2.000_071_5e-1;
    let p = p * m - 2.499_999_4e-1;
    let p = p * m + 3.333_333_1e-1;
    let y = p * m * z + e * -2.121_944_4e-4 - 0.5 * z;
    let y = m + y + e * 0.693_359_375;
    // One select after the other: with nested conditions compilers leave branches.
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    let y = if x == f32::INFINITY { x } else { y };
    if x >= 0.0 { y } else { f32::NAN }
}

/// ln(1 + x) for x in 0..=1; error below 2 ulp. 2 atanh(s) with s = x / (2 + x), whose series after the
/// first term is a polynomial in s^2 of least relative error (4.5e-9).
#[inline(always)]
pub fn ln_1p(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let z = s * s;
    let p = 1.400_599_5e-1f32;
    let p = p * z + 1.400_090_2e-1;
    let p = p * z + 2.001_076_3e-1;
    let p = p * z + 3.333_321e-1;
    let s = s + s;
    p * z * s + s
}

/// e^x - 1, exact near 0: a polynomial for |x| < 0.5, else from [`exp`].
#[inline(always)]
pub fn exp_m1(x: f32) -> f32 {
    let p = 1.987_569_1e-4f32;
    let p = p * x + 1.398_199_9e-3;
    let p = p * x + 8.333_452e-3;
    let p = p * x + 4.166_579_6e-2;
    let p = p * x + 1.666_666_5e-1;
    let p = p * x + 5e-1;
    let near = p * x * x + x;
    if x.abs() < 0.34 { near } else { exp(x) - 1.0 }
}

/// 1 / (1 + e^-x), without overflow.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    let y = 1.0 / (1.0 + e);
    if x >= 0.0 { y } else { e * y }
}

/// tanh(x): a polynomial for |x| < 0.625 (Cephes `tanhf`), else from [`exp`].
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let far = tanh_far(x);
    if x.abs() < 0.625 { tanh_excess(x) + x } else { far }
}

/// x - tanh(x), error below 16 ulp near 0 too.
#[inline(always)]
pub fn tanh_shrink(x: f32) -> f32 {
    let far = x - tanh_far(x);
    if x.abs() < 0.625 { -tanh_excess(x) } else { far }
}

/// tanh(x) - x for |x| < 0.625.
#[inline(always)]
fn tanh_excess(x: f32) -> f32 {
    let z = x * x;
    let p = -5.704_988_7e-3f32;
    let p = p * z + 2.063_908_9e-2;
    let p = p * z - 5.373_971_2e-2;
    let p = p * z + 1.333_144_2e-1;
    let p = p * z - 3.333_328e-1;
    p * z * x
}

/// tanh(x) for |x| >= 0.625.
#[inline(always)]
fn tanh_far(x: f32) -> f32 {
    (1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0)).copysign(x)
}

/// ln(1 + e^x), without overflow.
#[inline(always)]
pub fn softplus(x: f32) -> f32 {
    x.max(0.0) + ln_1p(exp(-x.abs()))
}

/// The standard normal distribution: the probability P(X <= x) = (1 + erf(x / sqrt 2)) / 2, error
/// below 4 ulp down to the smallest normal numbers, and the density e^(-x^2 / 2) / sqrt(2 pi).
#[inline(always)]
pub fn normal(x: f32) -> (f32, f32) {
    let a = x.abs();
    let a = if a > 15.0 { 15.0 } else { a };
    // x^2 in two parts, the first exact (12 bits squared): its rounding would be magnified by exp.
    let high = f32::from_bits(a.to_bits() & 0xffff_f000);
    let low = (a - high) * (a + high);
    let e = exp_sum(-0.5 * high * high, -0.5 * low);
    // P(X > a) / e = t q(t), t = 1 / (1 + 0.35 a): the form of Abramowitz and Stegun 7.1.26, with a
    // polynomial of degree 8 in t - 1/2 of least relative error (3.2e-8) over 0..14.5.
    let t = 1.0 / (1.0 + 0.35 * a);
    let s = t - 0.5;
    let q = -2.915_803e-2f32;
    let q = q * s + 2.739_949e-2;
    let q = q * s + 4.416_402_4e-2;
    let q = q * s - 5.614_021e-2;
    let q = q * s - 8.173_986e-2;
    let q = q * s + 8.187_086e-2;
    let q = q * s + 2.843_957_8e-1;
    let q = q * s + 3.429_916_2e-1;
    let q = q * s + 2.532_442_8e-1;
    let tail = e * (t * q);
    (if x > 0.0 { 1.0 - tail } else { tail }, e * 0.398_942_3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::cpu::erf::erfc_f64;

    /// The largest error in units of the last place over a range.
    fn worst(from: f32, to: f32, ours: fn(f32) -> f32, exact: fn(f64) -> f64) -> f64 {
        (0..=200_000)
            .map(|i| from + (to - from) * (i as f32 / 200_000.0))
            .map(|x| {
                let want = exact(f64::from(x));
                let ulp = f64::from((want as f32).abs().max(f32::MIN_POSITIVE)) * 2f64.powi(-23);
                (f64::from(ours(x)) - want).abs() / ulp
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn errors_are_small() {
        assert!(worst(-87.0, 88.7, exp, f64::exp) < 2.0);
        assert!(worst(1e-30, 1e30, ln, f64::ln) < 2.0);
        assert!(worst(0.3, 3.0, ln, f64::ln) < 2.0);
        assert!(worst(0.0, 1.0, ln_1p, f64::ln_1p) < 2.0);
        assert!(worst(0.0, 1e-3, ln_1p, f64::ln_1p) < 2.0);
        assert!(worst(-5.0, 5.0, exp_m1, f64::exp_m1) < 4.0);
        assert!(worst(-9.0, 9.0, tanh, f64::tanh) < 3.0);
        assert!(worst(-80.0, 80.0, sigmoid, |x| 1.0 / (1.0 + (-x).exp())) < 4.0);
        assert!(worst(-80.0, 80.0, softplus, |x| x.exp().ln_1p()) < 3.0);
        assert!(worst(-9.0, 9.0, tanh_shrink, |x| x - x.tanh()) < 16.0);
        let cdf = |x: f64| 0.5 * erfc_f64(-x * std::f64::consts::FRAC_1_SQRT_2);
        assert!(worst(-12.9, 6.0, |x| normal(x).0, cdf) < 4.0);
        let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        assert!(worst(-12.9, 12.9, |x| normal(x).1, density) < 2.0);
    }

    /// Python's `0.5 * math.erfc(-x / math.sqrt(2))`.
    #[test]
    fn normal_as_python_has_it() {
        let known = [
            (-9.5, 1.0494515075362727e-21),
            (-5.0, 2.866515718791946e-07),
            (-2.0, 0.02275013194817922),
            (-0.3, 0.3820885778110474),
            (0.0, 0.5),
            (1.0, 0.8413447460685429),
            (4.0, 0.9999683287581669),
        ];
        for (x, y) in known {
            assert!((f64::from(normal(x).0) / y - 1.0).abs() < 6e-7, "{x}");
        }
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan() && ln(f32::NAN).is_nan() && ln(-1.0).is_nan());
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(0.0), f32::NEG_INFINITY);
        assert_eq!(ln(f32::INFINITY), f32::INFINITY);
        assert!((f64::from(ln(1e-40)) - f64::from(1e-40f32).ln()).abs() < 1e-4);
        assert_eq!(sigmoid(f32::NEG_INFINITY), 0.0);
        assert_eq!(sigmoid(f32::INFINITY), 1.0);
        assert_eq!(tanh(f32::INFINITY), 1.0);
        assert_eq!(softplus(f32::NEG_INFINITY), 0.0);
        assert_eq!(softplus(200.0), 200.0);
        assert_eq!(normal(f32::NEG_INFINITY), (0.0, 0.0));
        assert_eq!(normal(f32::INFINITY), (1.0, 0.0));
        assert!(normal(f32::NAN).0.is_nan() && tanh_shrink(f32::NAN).is_nan());
        assert_eq!(tanh_shrink(1e30), 1e30);
    }
}
