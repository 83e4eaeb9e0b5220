//! The window functions of `scipy.signal.windows` that take no parameters, by scipy's names.

use sconce_core::{Error, Result, registry::unknown};
use std::f64::consts::{PI, TAU};

type Windowed = fn(at: f64, length: f64) -> f64;

/// Names, the first as in messages, and the value at the place `at` of `0..length`.
const WINDOWS: &[(&[&str], Windowed)] = &[
    (&["barthann", "brthan", "bth"], barthann),
    (&["bartlett", "bart", "brt"], |at, length| 1.0 - offset(at, length)),
    (&["blackman", "black", "blk"], |at, length| cosines(&[0.42, 0.5, 0.08], at, length)),
    (&["blackmanharris", "blackharr", "bkh"], |at, length| {
        cosines(&[0.35875, 0.48829, 0.14128, 0.01168], at, length)
    }),
    (&["bohman", "bman", "bmn"], bohman),
    (&["boxcar", "box", "ones", "rect", "rectangular"], |_, _| 1.0),
    (&["cosine", "halfcosine"], |at, length| (PI / length * (at + 0.5)).sin()),
    (&["exponential", "poisson"], |at, length| (-(at - (length - 1.0) / 2.0).abs()).exp()),
    (&["flattop", "flat", "flt"], |at, length| {
        cosines(&[0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368], at, length)
    }),
    (&["hamming", "hamm", "ham"], |at, length| cosines(&[0.54, 0.46], at, length)),
    (&["hann", "han"], |at, length| cosines(&[0.5, 0.5], at, length)),
    (&["lanczos", "sinc"], |at, length| sinc(2.0 * at / (length - 1.0) - 1.0)),
    (&["nuttall", "nutl", "nut"], |at, length| {
        cosines(&[0.3635819, 0.4891775, 0.1365995, 0.0106411], at, length)
    }),
    (&["parzen", "parz", "par"], parzen),
    (&["taylor", "taylorwin"], taylor),
    (&["triang", "triangle", "tri"], triang),
    (&["tukey", "tuk"], tukey),
];

/// All names, also the short ones.
pub fn names() -> Vec<&'static str> {
    WINDOWS.iter().flat_map(|(names, _)| names.iter().copied()).collect()
}

/// The values of a window: symmetric, or one period of a periodic function (the symmetric window
/// that is one longer, without its last value). Every window of length 1 is 1.
pub fn named(name: &str, length: usize, periodic: bool) -> Result<Vec<f64>> {
    let window = WINDOWS.iter().find(|(names, _)| names.contains(&name)).map(|(_, f)| f);
    let Some(window) = window else {
        let known = WINDOWS.iter().filter_map(|(names, _)| names.first().copied());
        return Err(Error::config("window", unknown("window", name, known)));
    };
    if length <= 1 {
        return Ok(vec![1.0; length]);
    }
    let full = (length + usize::from(periodic)) as f64;
    Ok((0..length).map(|at| window(at as f64, full)).collect())
}

/// Distance from the middle: 0 there, 1 at both ends.
fn offset(at: f64, length: f64) -> f64 {
    (2.0 * at / (length - 1.0) - 1.0).abs()
}

/// The sum of `terms[k] cos(k x)` for x from -pi to pi.
fn cosines(terms: &[f64], at: f64, length: f64) -> f64 {
    let x = TAU * at / (length - 1.0) - PI;
    terms.iter().enumerate().map(|(k, term)| term * (k as f64 * x).cos()).sum()
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

fn barthann(at: f64, length: f64) -> f64 {
    let x = offset(at, length) / 2.0;
    0.62 - 0.48 * x + 0.38 * (TAU * x).cos()
}

fn bohman(at: f64, length: f64) -> f64 {
    let x = offset(at, length);
    (1.0 - x) * (PI * x).cos() + (PI * x).sin() / PI
}

fn parzen(at: f64, length: f64) -> f64 {
    let n = (at - (length - 1.0) / 2.0).abs();
    let x = n / (length / 2.0);
    if n <= (length - 1.0) / 4.0 {
        1.0 - 6.0 * x * x + 6.0 * x * x * x
    } else {
        2.0 * (1.0 - x).powi(3)
    }
}

/// Four sidelobes next to the main lobe nearly constant, 30 dB below it; 1 in the middle.
fn taylor(at: f64, length: f64) -> f64 {
    const SIDELOBES: i32 = 4;
    const DECIBELS: f64 = 30.0;
    let a = 10f64.powf(DECIBELS / 20.0).acosh() / PI;
    let stretch = f64::from(SIDELOBES).powi(2) / (a * a + (f64::from(SIDELOBES) - 0.5).powi(2));
    let coefficient = |m: i32| {
        let square = f64::from(m * m);
        let zeros = |n: i32| 1.0 - square / stretch / (a * a + (f64::from(n) - 0.5).powi(2));
        let poles = |n: i32| if n == m { 1.0 } else { 1.0 - square / f64::from(n * n) };
        let sign = if m % 2 == 1 { 1.0 } else { -1.0 };
        let (up, down): (f64, f64) =
            ((1..SIDELOBES).map(zeros).product(), (1..SIDELOBES).map(poles).product());
        sign * up / (2.0 * down)
    };
    let value = |x: f64| {
        let wave = |m: i32| coefficient(m) * (TAU * f64::from(m) * x / length).cos();
        1.0 + 2.0 * (1..SIDELOBES).map(wave).sum::<f64>()
    };
    value(at - length / 2.0 + 0.5) / value(0.0)
}

fn triang(at: f64, length: f64) -> f64 {
    let from_end = at.min(length - 1.0 - at) + 1.0;
    if length % 2.0 == 0.0 {
        (2.0 * from_end - 1.0) / length
    } else {
        2.0 * from_end / (length + 1.0)
    }
}

/// A half of it flat, the rest a cosine.
fn tukey(at: f64, length: f64) -> f64 {
    let taper = 0.25 * (length - 1.0);
    let from_end = at.min(length - 1.0 - at);
    if from_end > taper.floor() { 1.0 } else { 0.5 * (1.0 + (PI * (from_end / taper - 1.0)).cos()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17: `get_window(name, 6, False)[:3]` and `get_window(name, 7, True)[:4]`.
    #[test]
    fn windows_are_scipys() {
        let known: [(&str, [f64; 3], [f64; 4]); 17] = [
            (
                "barthann",
                [0.0, 0.358573542, 0.879426458],
                [0.0, 0.211645304, 0.601700812, 0.928082456],
            ),
            ("bartlett", [0.0, 0.4, 0.8], [0.0, 0.285714286, 0.571428571, 0.857142857]),
            (
                "blackman",
                [0.0, 0.200770143, 0.849229857],
                [0.0, 0.090453424, 0.459182958, 0.920363618],
            ),
            (
                "blackmanharris",
                [6e-05, 0.103011489, 0.793833511],
                [6e-05, 0.033391723, 0.332833504, 0.889369772],
            ),
            (
                "bohman",
                [0.0, 0.179123894, 0.834311452],
                [0.0, 0.070724747, 0.437484012, 0.910368513],
            ),
            ("boxcar", [1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]),
            (
                "cosine",
                [0.258819045, std::f64::consts::FRAC_1_SQRT_2, 0.965925826],
                [0.195090322, 0.555570233, 0.831469612, 0.98078528],
            ),
            (
                "exponential",
                [0.082084999, 0.22313016, 0.60653066],
                [0.030197383, 0.082084999, 0.22313016, 0.60653066],
            ),
            (
                "flattop",
                [-0.000421051, -0.067714252, 0.606872153],
                [-0.000421051, -0.036840781, 0.010703717, 0.780873915],
            ),
            (
                "hamming",
                [0.08, 0.397852183, 0.912147817],
                [0.08, 0.253194691, 0.64235963, 0.954445679],
            ),
            ("hann", [0.0, 0.345491503, 0.904508497], [0.0, 0.188255099, 0.611260467, 0.950484434]),
            (
                "lanczos",
                [0.0, 0.504551152, 0.935489284],
                [0.0, 0.348410566, 0.72410145, 0.966766385],
            ),
            (
                "nuttall",
                [0.0003628, 0.110515253, 0.798258097],
                [0.0003628, 0.037775769, 0.34272762, 0.891851861],
            ),
            (
                "parzen",
                [0.009259259, 0.25, 0.861111111],
                [0.00390625, 0.10546875, 0.47265625, 0.91796875],
            ),
            (
                "taylor",
                [0.306346927, 0.662064779, 0.957002127],
                [0.2793463, 0.514959898, 0.797301528, 0.975610718],
            ),
            ("triang", [0.166666667, 0.5, 0.833333333], [0.125, 0.375, 0.625, 0.875]),
            ("tukey", [0.0, 0.904508497, 1.0], [0.0, 0.611260467, 1.0, 1.0]),
        ];
        assert_eq!(known.len(), WINDOWS.len());
        let close = |a: &f64, b: &f64| (a - b).abs() < 2e-9;
        for (name, [a, b, c], [d, e, f, g]) in known {
            let symmetric = named(name, 6, false).unwrap();
            assert!(symmetric.iter().zip(&[a, b, c, c, b, a]).all(|(x, y)| close(x, y)), "{name}");
            let periodic = named(name, 7, true).unwrap();
            assert!(
                periodic.iter().zip(&[d, e, f, g, g, f, e]).all(|(x, y)| close(x, y)),
                "{name}"
            );
        }
    }

    #[test]
    fn short_windows_and_unknown_names() {
        assert_eq!(named("hann", 1, false).unwrap(), [1.0]);
        assert!(WINDOWS.iter().all(|(names, _)| named(names[0], 2, false).is_ok()));
        let message = named("hanm", 4, false).unwrap_err().to_string();
        assert!(message.contains("unknown window `hanm`. Did you mean"), "{message}");
    }
}
