use super::*;

const EPSILON: f32 = 1e-3;

fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 * 2.0 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn shapes() -> Vec<Sets> {
    let of = |[samples, positions, groups, channels, inner]: [usize; 5]| Sets {
        samples,
        positions,
        groups,
        channels,
        inner,
    };
    let large = CHUNK + 7;
    [
        [1, 6, 5, 1, 1],
        [1, large, 3, 1, 1],
        [1, 3, large, 1, 1],
        [1, 5, 3, 1, 7],
        [1, large / 40, 3, 1, 50],
        [7, 1, 1, 9, 1],
        [large / 20, 1, 1, 33, 1],
        [3, 5, 2, 3, 1],
        [4, large / 5, 2, 2, 1],
        [3, 1, 2, 3, 11],
        [1, 9, 2, 4, 1],
        [1, 1, 1, 1, 1],
    ]
    .map(of)
    .to_vec()
}

/// The set and the channel of a value.
fn place(sets: Sets, index: usize) -> (usize, usize) {
    let channel = index / sets.inner % sets.width();
    (index / sets.sample() * sets.groups + channel / sets.channels, channel)
}

fn near(what: &str, ours: &[f32], right: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), right.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(right).enumerate() {
        let wrong = (f64::from(*a) - b).abs() > tolerance * b.abs().max(1.0);
        assert!(!wrong, "{what}[{i}]: {a}, expected {b}");
    }
}

/// What the kernels must give, value by value in f64.
struct Plain {
    y: Vec<f64>,
    mean: Vec<f64>,
    variance: Vec<f64>,
}

fn plain(x: &[f32], sets: Sets, center: bool, gamma: &[f32], beta: &[f32]) -> Plain {
    let (count, number) = (sets.count() as f64, sets.samples * sets.groups);
    let (mut mean, mut variance) = (vec![0f64; number], vec![0f64; number]);
    for (i, x) in x.iter().enumerate().filter(|_| center) {
        mean[place(sets, i).0] += f64::from(*x) / count;
    }
    for (i, x) in x.iter().enumerate() {
        let set = place(sets, i).0;
        variance[set] += (f64::from(*x) - mean[set]).powi(2) / count;
    }
    let y = |(i, x): (usize, &f32)| {
        let (set, channel) = place(sets, i);
        let normalized = (f64::from(*x) - mean[set]) / (variance[set] + f64::from(EPSILON)).sqrt();
        normalized * f64::from(gamma[channel]) + f64::from(beta[channel])
    };
    let y = x.iter().enumerate().map(y).collect();
    Plain { y, mean, variance }
}

#[test]
fn sets_of_every_form_are_normalized() {
    for sets in shapes() {
        for center in [true, false] {
            let x = values(sets.len(), 1);
            let (gamma, beta) = (values(sets.width(), 2), values(sets.width(), 3));
            let ours = normalize(&x, sets, center, EPSILON, Some(&gamma), Some(&beta), None);
            let right = plain(&x, sets, center, &gamma, &beta);
            near(&format!("{sets:?} mean"), &ours.mean, &right.mean, 1e-6);
            near(&format!("{sets:?} variance"), &ours.variance, &right.variance, 1e-6);
            near(&format!("{sets:?} y"), &ours.y, &right.y, 1e-5);
            let (mean, variance) = (&ours.mean, &ours.variance);
            let given = normalize_with(
                &x,
                sets,
                (mean, variance),
                EPSILON,
                Some(&gamma),
                Some(&beta),
                None,
            );
            near(&format!("{sets:?} given"), &given, &right.y, 1e-5);
        }
    }
}

#[test]
fn values_far_from_zero_keep_their_digits() {
    for sets in shapes().into_iter().filter(|sets| sets.count() > 4) {
        let x: Vec<f32> = values(sets.len(), 4).iter().map(|x| x + 1000.0).collect();
        let (gamma, beta) = (vec![1.0; sets.width()], vec![0.0; sets.width()]);
        let ours = normalize(&x, sets, true, EPSILON, None, None, None);
        let right = plain(&x, sets, true, &gamma, &beta);
        near(&format!("{sets:?} variance"), &ours.variance, &right.variance, 1e-3);
        near(&format!("{sets:?} y"), &ours.y, &right.y, 2e-3);
    }
}

/// Against the formulas of the gradient, value by value in f64; finite differences are in `ops`.
#[test]
fn gradients_of_every_form() {
    for sets in shapes() {
        for (center, given) in [(true, false), (false, false), (true, true)] {
            let x = values(sets.len(), 5);
            let (dy, gamma) = (values(sets.len(), 6), values(sets.width(), 7));
            let out = normalize(&x, sets, center, EPSILON, Some(&gamma), None, None);
            let number = out.mean.len();
            let (dmean, dvariance) = (values(number, 8), values(number, 9));
            for more in [false, true] {
                let upstream = Upstream {
                    dy: &dy,
                    dmean: (more && center).then_some(&dmean),
                    dvariance: more.then_some(&dvariance),
                };
                let statistics = Statistics {
                    mean: &out.mean,
                    variance: &out.variance,
                    given,
                    center,
                    epsilon: EPSILON,
                };
                let ours =
                    normalize_backward(&x, sets, upstream, statistics, Some(&gamma), None, None);
                let inverse =
                    |set: usize| 1.0 / (f64::from(out.variance[set]) + f64::from(EPSILON)).sqrt();
                let normalized = |i: usize| {
                    let set = place(sets, i).0;
                    (f64::from(x[i]) - f64::from(out.mean[set])) * inverse(set)
                };
                let (mut dgamma, mut dbeta) = (vec![0f64; sets.width()], vec![0f64; sets.width()]);
                let mut sums = vec![[0f64; 2]; number];
                for i in 0..x.len() {
                    let (set, channel) = place(sets, i);
                    let (dy, gamma) = (f64::from(dy[i]), f64::from(gamma[channel]));
                    dgamma[channel] += dy * normalized(i);
                    dbeta[channel] += dy;
                    sums[set][0] += dy * gamma;
                    sums[set][1] += dy * gamma * normalized(i);
                }
                let count = sets.count() as f64;
                let dx: Vec<f64> = (0..x.len())
                    .map(|i| {
                        let (set, channel) = place(sets, i);
                        let mut dx = f64::from(dy[i]) * f64::from(gamma[channel]);
                        if !given {
                            dx -= normalized(i) * sums[set][1] / count;
                            dx -= if center { sums[set][0] / count } else { 0.0 };
                        }
                        dx *= inverse(set);
                        if more && !given {
                            let distance = normalized(i) / inverse(set);
                            dx += 2.0 * f64::from(dvariance[set]) * distance / count;
                            dx += if center { f64::from(dmean[set]) / count } else { 0.0 };
                        }
                        dx
                    })
                    .collect();
                let what = format!("{sets:?} center {center} given {given} more {more}");
                near(&format!("{what} dx"), &ours.dx, &dx, 2e-4);
                near(&format!("{what} dgamma"), &ours.dgamma, &dgamma, 2e-4);
                near(&format!("{what} dbeta"), &ours.dbeta, &dbeta, 2e-4);
            }
        }
    }
}

#[test]
fn nothing_is_nothing() {
    for [samples, positions, channels] in [[0, 1, 3], [1, 0, 3], [2, 3, 0], [1, 1, 0]] {
        let sets = Sets { samples, positions, groups: 1, channels, inner: 1 };
        let (gamma, beta) = (vec![1.0; channels], vec![0.0; channels]);
        let out = normalize(&[], sets, true, EPSILON, Some(&gamma), Some(&beta), None);
        assert!(out.y.is_empty());
        let statistics = Statistics {
            mean: &out.mean,
            variance: &out.variance,
            given: false,
            center: true,
            epsilon: EPSILON,
        };
        let upstream = Upstream { dy: &[], dmean: None, dvariance: None };
        let back = normalize_backward(&[], sets, upstream, statistics, Some(&gamma), None, None);
        assert!(back.dx.is_empty() && back.dgamma.iter().all(|d| *d == 0.0));
    }
}

/// With a function of the results: what the two by themselves give, over several pieces and segments.
#[test]
fn functions_of_the_results() {
    let relu = |y: &mut [f32]| y.iter_mut().for_each(|y| *y = y.max(0.0));
    let slope = |y: &[f32], gradient: &mut [f32]| {
        gradient.iter_mut().zip(y).for_each(|(g, y)| *g *= if *y > 0.0 { 1.0 } else { 0.0 });
    };
    let function = Some(Function { map: &relu, chain: &slope });
    for (positions, groups) in [(5, 3), (700, 5), (CHUNK / 8 + 3, 16), (3, 5000)] {
        let sets = Sets { samples: 1, positions, groups, channels: 1, inner: 1 };
        assert!(sets.takes_function());
        let x: Vec<f32> = (0..sets.len()).map(|i| ((i * 37) % 101) as f32 / 20.0 - 2.0).collect();
        let dy: Vec<f32> = (0..sets.len()).map(|i| ((i * 53) % 89) as f32 / 40.0 - 1.0).collect();
        let gamma: Vec<f32> = (0..groups).map(|i| 0.5 + (i % 7) as f32 / 5.0).collect();
        let beta: Vec<f32> = (0..groups).map(|i| (i % 5) as f32 / 5.0 - 0.4).collect();
        let of = |function| normalize(&x, sets, true, EPSILON, Some(&gamma), Some(&beta), function);
        let (joined, mut apart) = (of(function), of(None));
        relu(&mut apart.y);
        assert_eq!(joined.y, apart.y);
        let mut dz = dy.clone();
        slope(&apart.y, &mut dz);
        let gradients = |dy: &[f32], function| {
            let (mean, variance) = (&apart.mean[..], &apart.variance[..]);
            let statistics =
                Statistics { mean, variance, given: false, center: true, epsilon: EPSILON };
            let upstream = Upstream { dy, dmean: None, dvariance: None };
            normalize_backward(&x, sets, upstream, statistics, Some(&gamma), Some(&beta), function)
        };
        let (joined, apart) = (gradients(&dy, function), gradients(&dz, None));
        for (joined, apart) in
            [(joined.dx, apart.dx), (joined.dgamma, apart.dgamma), (joined.dbeta, apart.dbeta)]
        {
            for (a, b) in joined.iter().zip(&apart) {
                assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{positions} {groups}: {a} {b}");
            }
        }
    }
}
