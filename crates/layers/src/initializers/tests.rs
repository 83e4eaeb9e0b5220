//! Against Keras 3.15.1 (JAX): configurations, the parameters of every distribution, and the values
//! of those that are not random. What random numbers must be is checked by their statistics.

use super::*;
use crate::registry_case::{check_golden, check_rows, refuses};
use sconce_core::{Error, Json, Result, Stream};
use serde_json::json;

fn values(part: impl Into<Initializer>, dims: &[usize], path: &str) -> Result<Vec<f32>> {
    part.into().get()?.values(dims, &mut Stream::named(1, path))
}

fn configured(class_name: &str, config: Json, dims: &[usize]) -> Vec<f32> {
    values(Initializer::new(class_name, config).unwrap(), dims, "w").unwrap()
}

#[track_caller]
fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= tolerance;
    assert!(found.iter().zip(expected).all(near), "{what}: {found:?}, expected {expected:?}");
}

#[test]
fn every_row_is_keras() {
    let fan = json!({"seed": null, "input_axes": null, "output_axes": null});
    let normal = json!({"seed": null, "mean": 0.0, "stddev": 0.05});
    check_rows::<Initializers>(&[
        ("Constant", json!({"value": 0.0})),
        // Keras itself forgets the gain when it writes an Identity.
        ("Identity", json!({"gain": 1.0})),
        ("Ones", json!({})),
        (
            "STFT",
            json!({"side": "real", "window": "hann", "periodic": false, "scaling": "density"}),
        ),
        ("Zeros", json!({})),
        ("GlorotNormal", fan.clone()),
        ("GlorotUniform", fan.clone()),
        ("HeNormal", fan.clone()),
        ("HeUniform", fan.clone()),
        ("LecunNormal", fan.clone()),
        ("LecunUniform", fan),
        ("Orthogonal", json!({"seed": null, "gain": 1.0})),
        ("RandomNormal", normal.clone()),
        ("RandomUniform", json!({"seed": null, "minval": -0.05, "maxval": 0.05})),
        ("TruncatedNormal", normal),
        (
            "VarianceScaling",
            json!({"seed": null, "scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal",
                "input_axes": null, "output_axes": null}),
        ),
    ]);
}

/// Without chance, the values are Keras's; with it, those of the distribution that Keras draws from.
#[test]
fn values_and_distributions_are_keras() {
    check_golden::<Initializers>("initializers", |case, part| {
        let dims: Vec<usize> = serde_json::from_value(case.field("shape").clone()).unwrap();
        // Keras forgets the gain of an Identity when it writes the configuration.
        let part = match case.name() {
            "identity/gain=0.5/4x4" => Identity::new(0.5).into(),
            _ => part.clone(),
        };
        if case.has("drawn") {
            return; // Orthogonal, in its own file.
        }
        let found = values(&part, &dims, "w").unwrap();
        if case.has("value") {
            let expected = case.tensor("value").flatten_all().unwrap().to_vec1::<f32>().unwrap();
            // Keras computes the angles of STFT in single precision.
            let tolerance = if case.name().starts_with("stft") { 3e-6 } else { 0.0 };
            return assert_close(case.name(), &found, &expected, tolerance);
        }
        let draws = case.field("draws");
        let argument = |name: &str| draws[name].as_f64().unwrap();
        let seed = part.config().unwrap()["seed"].as_u64();
        let same: Initializer = match draws["distribution"].as_str().unwrap() {
            "uniform" => {
                RandomUniform { seed, ..RandomUniform::new(argument("minval"), argument("maxval")) }
                    .into()
            }
            "normal" => {
                RandomNormal { seed, ..RandomNormal::new(argument("mean"), argument("stddev")) }
                    .into()
            }
            _ => {
                let (mean, stddev) = (argument("mean"), argument("stddev"));
                TruncatedNormal { seed, ..TruncatedNormal::new(mean, stddev) }.into()
            }
        };
        let expected = values(same, &dims, "w").unwrap();
        let scale = expected.iter().fold(0f32, |largest, v| largest.max(v.abs()));
        assert_close(case.name(), &found, &expected, scale * 2e-7);
    });
}

/// Keras's fans where the golden cases have none: `fan_in = fan_out = 1` for a scalar, and axes that
/// count from the end or are given on one side only.
#[test]
fn fans_of_unusual_shapes() {
    assert_eq!(fans(&[], None, None).unwrap(), (1.0, 1.0));
    assert_eq!(fans(&[64, 4, 16], Some(&[0]), Some(&[-1, -2])).unwrap(), (64.0, 64.0));
    assert_eq!(fans(&[64, 4, 16], Some(&[0]), None).unwrap(), (256.0, 1024.0));
}

/// The largest distance between the distribution of samples and a distribution function
/// (Kolmogorov and Smirnov's statistic), with their mean and variance.
fn statistics(samples: &[f32], distribution: impl Fn(f64) -> f64) -> (f64, f64, f64) {
    let n = samples.len() as f64;
    let mut sorted: Vec<f64> = samples.iter().map(|v| f64::from(*v)).collect();
    sorted.sort_by(f64::total_cmp);
    let distance = |(i, v): (usize, &f64)| {
        let p = distribution(*v);
        (p - i as f64 / n).abs().max(((i + 1) as f64 / n - p).abs())
    };
    let largest = sorted.iter().enumerate().map(distance).fold(0.0, f64::max);
    let mean = sorted.iter().sum::<f64>() / n;
    (largest, mean, sorted.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n)
}

/// P(Z < z), by Simpson's rule.
fn normal_distribution(z: f64) -> f64 {
    let density = |x: f64| (-x * x / 2.0).exp() / (std::f64::consts::TAU).sqrt();
    let (steps, h) = (100, z / 100.0);
    let weight = |i: i32| if i == 0 || i == steps { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
    0.5 + h / 3.0 * (0..=steps).map(|i| weight(i) * density(h * f64::from(i))).sum::<f64>()
}

/// 100,000 samples: a correct sampler exceeds these bounds once in ten thousand seeds or less.
#[test]
fn samples_have_their_distribution() {
    const DIMS: [usize; 2] = [200, 500];
    const KS: f64 = 2.23 / 316.23;
    let check = |part: Initializer, mean: f64, variance: f64, f: &dyn Fn(f64) -> f64| {
        for path in ["a/kernel", "b/kernel"] {
            let samples = values(&part, &DIMS, path).unwrap();
            let (distance, m, v) = statistics(&samples, f);
            assert!(distance < KS, "{part:?}: distance {distance}");
            assert!((m - mean).abs() < 4.0 * (variance / 1e5).sqrt(), "{part:?}: mean {m}");
            assert!((v / variance - 1.0).abs() < 0.018, "{part:?}: variance {v}, not {variance}");
        }
    };
    check(RandomUniform::new(-1.0, 3.0).into(), 1.0, 16.0 / 12.0, &|x| (x + 1.0) / 4.0);
    check(RandomNormal::new(2.0, 0.5).into(), 2.0, 0.25, &|x| normal_distribution((x - 2.0) / 0.5));
    let (low, high) = (normal_distribution(-2.0), normal_distribution(2.0));
    let cut = |z: f64| (normal_distribution(z) - low) / (high - low);
    let variance = 0.879_625_661_034_239_8f64.powi(2);
    check(TruncatedNormal::new(-1.0, 2.0).into(), -1.0, 4.0 * variance, &|x| cut((x + 1.0) / 2.0));
    // The fans of [200, 500]: 200 and 500.
    let limit = (6.0 / 700.0f64).sqrt();
    let uniform = |x: f64| (x + limit) / (2.0 * limit);
    check(GlorotUniform::default().into(), 0.0, 2.0 / 700.0, &uniform);
    let stddev = (2.0 / 200.0f64).sqrt() / variance.sqrt();
    check(HeNormal::default().into(), 0.0, 2.0 / 200.0, &|x| cut(x / stddev));
}

#[test]
fn samples_keep_their_bounds() {
    let dims = [300_000];
    for v in values(RandomUniform::new(-0.3, 0.7), &dims, "w").unwrap() {
        assert!((-0.3..=0.7).contains(&v), "{v}");
    }
    for v in values(TruncatedNormal::new(1.0, 0.5), &dims, "w").unwrap() {
        assert!((0.0..=2.0).contains(&v), "{v}");
    }
    let widest = values(RandomNormal::new(0.0, 1.0), &dims, "w").unwrap();
    let widest = widest.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!((4.0..6.0).contains(&widest), "{widest}");
}

#[test]
fn seeds_and_paths_decide() {
    for entry in Initializers::entries() {
        let draws = |config: Json, path: &str, dims: &[usize]| {
            values(Initializer::new(entry.class_name, config).unwrap(), dims, path)
        };
        let dims: &[usize] = if entry.class_name == "STFT" { &[4, 1, 5] } else { &[6, 5] };
        let bits = |config: Json, path: &str| {
            draws(config, path, dims).unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(bits(json!({}), "a/kernel"), bits(json!({}), "a/kernel"));
        let random = Initializer::from(entry.class_name).config().unwrap().get("seed").is_some();
        assert_eq!(bits(json!({}), "a/kernel") != bits(json!({}), "b/kernel"), random);
        if random {
            let seeded = bits(json!({"seed": 7}), "a/kernel");
            assert_eq!(seeded, bits(json!({"seed": 7}), "b/kernel"), "{}", entry.class_name);
            assert_ne!(seeded, bits(json!({"seed": 8}), "a/kernel"), "{}", entry.class_name);
        }
    }
}

#[test]
fn a_long_weight_starts_like_a_short_one() {
    for part in ["uniform", "normal", "truncated_normal"] {
        let long = values(part, &[5000], "w").unwrap();
        assert_eq!(values(part, &[1500], "w").unwrap(), long[..1500]);
    }
}

#[test]
fn seeds_as_keras_writes_them() {
    let seed = |seed: Json| -> Json {
        let part = Initializer::new("he_normal", json!({"seed": seed})).unwrap();
        part.config().unwrap()["seed"].clone()
    };
    assert_eq!(seed(json!(null)), json!(null));
    assert_eq!(seed(json!(7)), json!(7));
    assert_eq!(seed(json!(7.0)), json!(7));
    let generator = |seed: Json| {
        json!({"module": "keras.random", "class_name": "SeedGenerator",
            "config": {"seed": seed, "name": "seed_generator"}, "registered_name": null})
    };
    assert_eq!(seed(generator(json!(5))), json!(5));
    assert_eq!(seed(generator(json!(null))), json!(null));
    for wrong in [json!(-1), json!(1.5), json!("7"), json!([1]), json!({"class_name": "Other"})] {
        let document = json!({"class_name": "HeNormal", "config": {"seed": wrong}});
        refuses::<Initializers>(
            document,
            "config.seed",
            "null, a whole number of at least 0 or a SeedGenerator as a seed",
        );
    }
}

#[test]
fn constants() {
    let rows = json!({"value": [[1.0], [2]]});
    assert_eq!(configured("constant", rows, &[2, 3]), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    let numpy = json!({"value": {"class_name": "__numpy__", "config": {"value": [1.0, 2.0], "dtype": "float32"}}});
    assert_eq!(configured("constant", numpy.clone(), &[2, 2]), [1.0, 2.0, 1.0, 2.0]);
    let part = Initializer::new("constant", numpy).unwrap();
    assert_eq!(part.config().unwrap(), &json!({"value": [1.0, 2.0]}));
    let table = Constant::array(&[2, 2], vec![1.0, 2.0, 3.0, 4.0]);
    assert_eq!(
        Initializer::from(table.clone()).config().unwrap(),
        &json!({"value": [[1.0, 2.0], [3.0, 4.0]]})
    );
    assert_eq!(values(table.clone(), &[2, 2], "w").unwrap(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(values(Constant::array(&[1, 0], vec![]), &[4, 0], "w").unwrap(), [0f32; 0]);
    let error = values(table, &[3, 2], "w").unwrap_err().to_string();
    assert!(
        error.contains("shape [2, 2] cannot be broadcast to the weight's shape [3, 2]"),
        "{error}"
    );
    let error = values(Constant::array(&[3], vec![1.0]), &[3], "w").unwrap_err().to_string();
    assert!(error.contains("at `value`: must be 3 values for the shape [3], found 1"), "{error}");
    for wrong in [json!("x"), json!([[1], [1, 2]]), json!([1, [2]]), json!(null)] {
        let document = json!({"class_name": "Constant", "config": {"value": wrong}});
        refuses::<Initializers>(document, "config.value", "a number, or nested lists");
    }
}

#[test]
fn identity() {
    for dims in [&[3][..], &[2, 2, 2], &[]] {
        let error = values("identity", dims, "w").unwrap_err().to_string();
        assert!(error.contains(&format!("the weight has the shape {dims:?}")), "{error}");
    }
}

#[test]
fn stft() {
    let config = json!({"side": "imag", "window": [0.0, 0.5, 1.0, 0.5, 0.0], "scaling": null});
    let named = json!({"side": "imag", "window": "bartlett", "scaling": null});
    let (listed, named) =
        (configured("stft", config, &[5, 1, 3]), configured("stft", named, &[5, 1, 3]));
    assert_close("bartlett", &listed, &named, 1e-7);
    for dims in [&[4, 2, 5][..], &[4, 1, 1], &[4, 5]] {
        let error = values("stft", dims, "w").unwrap_err().to_string();
        assert!(error.contains("[frame_length, 1, fft_length / 2 + 1]"), "{error}");
    }
    let error = values(
        Stft { window: Some(Window::Values(vec![1.0; 3])), ..Stft::default() },
        &[4, 1, 5],
        "w",
    );
    assert!(
        error.unwrap_err().to_string().contains("window has 3 values, but the frame length is 4")
    );
    let refuse = |config: Json, path: &str, message: &str| {
        refuses::<Initializers>(json!({"class_name": "STFT", "config": config}), path, message);
    };
    refuse(json!({"window": "hamm1ng"}), "config.window", "Did you mean `hamming`?");
    refuse(json!({"window": 3}), "config.window", "the name of a window or a list of numbers");
    refuse(json!({"side": "reel"}), "config.side", "Did you mean `real`?");
}

/// Q^T Q = gain^2 for the columns, or for the rows of wide matrices.
#[test]
fn orthogonal_matrices_are_orthogonal() {
    for (dims, rows, columns) in [
        (&[60, 20][..], 60, 20),
        (&[20, 60], 20, 60),
        (&[33, 33], 33, 33),
        (&[3, 3, 5, 7], 45, 7),
        (&[1, 4], 1, 4),
        (&[2, 0], 2, 0),
    ] {
        let q = values(Orthogonal::new(1.5), dims, "w").unwrap();
        let element = |i: usize, k: usize| {
            f64::from(if rows < columns { q[i * columns + k] } else { q[k * columns + i] })
        };
        for i in 0..rows.min(columns) {
            for j in 0..=i {
                let product: f64 =
                    (0..rows.max(columns)).map(|k| element(i, k) * element(j, k)).sum();
                let expected = if i == j { 2.25 } else { 0.0 };
                assert!((product - expected).abs() < 1e-6, "{dims:?} {i} {j}: {product}");
            }
        }
    }
    for dims in [&[5][..], &[]] {
        let error = values("orthogonal", dims, "w").unwrap_err().to_string();
        assert!(
            error.contains(&format!("two axes or more, but the weight has the shape {dims:?}")),
            "{error}"
        );
    }
}

/// R = Q^T A has a positive diagonal, so Q is the one that Keras's sign fix gives for the same A.
#[test]
fn orthogonal_signs_are_fixed() {
    let q = values("orthogonal", &[4, 3], "w").unwrap();
    let mut stream = Stream::named(1, "w");
    for column in 0..3 {
        let share: f64 = (0..4).map(|row| stream.normal() * f64::from(q[row * 3 + column])).sum();
        assert!(share > 0.0, "{column}: {share}");
    }
}

#[test]
fn unusable_configurations_are_refused() {
    let cases = [
        (
            "VarianceScaling",
            json!({"scale": 0.0}),
            "config.scale",
            "must be a number above 0, found 0",
        ),
        ("VarianceScaling", json!({"scale": -1.0}), "config.scale", "found -1"),
        ("VarianceScaling", json!({"mode": "fan_inn"}), "config.mode", "Did you mean `fan_in`?"),
        (
            "VarianceScaling",
            json!({"distribution": "unifrm"}),
            "config.distribution",
            "Did you mean `uniform`?",
        ),
        ("RandomNormal", json!({"stddev": -0.1}), "config.stddev", "at least 0, found -0.1"),
        (
            "TruncatedNormal",
            json!({"stddev": "a"}),
            "config.stddev",
            "must be a number of at least 0, found \"a\"",
        ),
        (
            "RandomUniform",
            json!({"minval": 1.0}),
            "config.maxval",
            "at least minval (1), found 0.05",
        ),
    ];
    for (name, config, path, message) in cases {
        refuses::<Initializers>(json!({"class_name": name, "config": config}), path, message);
    }
    // A builder reports the same where the part is first used.
    let part = Initializer::from(VarianceScaling { scale: -1.0, ..VarianceScaling::default() });
    let Err(Error::Config { path, message, .. }) = part.get() else { panic!("accepted {part:?}") };
    assert_eq!((path.as_str(), message.as_str()), ("scale", "must be a number above 0, found -1"));
    let axes = GlorotUniform {
        input_axes: Some(vec![0]),
        output_axes: Some(vec![-3]),
        ..GlorotUniform::default()
    };
    let error = values(axes, &[2, 3], "w").unwrap_err().to_string();
    assert!(
        error.contains("output_axes names the axis -3, which a weight of shape [2, 3]"),
        "{error}"
    );
}
