//! Elementary functions on f32 in plain arithmetic, so that loops over them vectorise and give the
//! same bits on every CPU (libm's do neither). Each states its largest error, measured in its test
//! against f64.

// Coefficients stand as their sources print them.
#![allow(clippy::excessive_precision)]

/// e^x; error below 2 ulp, 0 below -104, infinite above 88.73. Cody and Waite's reduction with a
/// polynomial of degree 6 (Cephes `expf`).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let clamped = x.clamp(-104.0, 89.0);
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer without a libm call.
    const ROUND: f32 = 12_582_912.0;
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = clamped - n * 0.693_359_375 - n * -2.121_944_4e-4;
    let p = 1.987_569_1e-4f32;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5e-1;
    let y = p * r * r + r + 1.0;
    // 2^n in two steps, so that results near the ends of the range (and subnormals) are right.
    let half = (n * 0.5 + ROUND) - ROUND;
    let y = y * power_of_two(half) * power_of_two(n - half);
    if x.is_nan() { x } else { y }
}

/// 2^n for an integral n in -126..=127.
#[inline(always)]
fn power_of_two(n: f32) -> f32 {
    f32::from_bits((((n as i32) + 127) as u32) << 23)
}

/// ln(x); error below 2 ulp for normal x > 0 (Cephes `logf`). -inf at 0, NaN below.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    let bits = scaled.to_bits();
    let exponent = (bits >> 23) as i32 - 126 - if tiny { 23 } else { 0 };
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000);
    let low = mantissa < std::f32::consts::FRAC_1_SQRT_2;
    let e = (exponent - i32::from(low)) as f32;
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
    if x > 0.0 && x < f32::INFINITY {
        y
    } else if x == 0.0 {
        f32::NEG_INFINITY
    } else if x == f32::INFINITY {
        x
    } else {
        f32::NAN
    }
}

/// ln(1 + x) for x > -1, exact near 0 (Kahan's correction).
#[inline(always)]
pub fn ln_1p(x: f32) -> f32 {
    let u = 1.0 + x;
    let d = u - 1.0;
    let y = if d == 0.0 { x } else { ln(u) * (x / d) };
    if u == f32::INFINITY { u } else { y }
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
    let a = x.abs();
    let z = x * x;
    let p = -5.704_988_7e-3f32;
    let p = p * z + 2.063_908_9e-2;
    let p = p * z - 5.373_971_2e-2;
    let p = p * z + 1.333_144_2e-1;
    let p = p * z - 3.333_328e-1;
    let near = p * z * x + x;
    let far = (1.0 - 2.0 / (exp(2.0 * a) + 1.0)).copysign(x);
    if a < 0.625 { near } else { far }
}

/// ln(1 + e^x), without overflow.
#[inline(always)]
pub fn softplus(x: f32) -> f32 {
    x.max(0.0) + ln_1p(exp(-x.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(worst(-0.9, 3.0, ln_1p, f64::ln_1p) < 4.0);
        assert!(worst(-1e-3, 1e-3, ln_1p, f64::ln_1p) < 2.0);
        assert!(worst(-5.0, 5.0, exp_m1, f64::exp_m1) < 4.0);
        assert!(worst(-9.0, 9.0, tanh, f64::tanh) < 3.0);
        assert!(worst(-80.0, 80.0, sigmoid, |x| 1.0 / (1.0 + (-x).exp())) < 4.0);
        assert!(worst(-80.0, 80.0, softplus, |x| x.exp().ln_1p()) < 4.0);
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
    }
}
