//! Against the definitions in f64: odd shapes, every stride, dilation, padding and number of groups.

use super::*;
use crate::threads::CHUNK;

/// Whole numbers of eighths, so that many sums are exact.
fn fill(len: usize, salt: u32) -> Vec<f32> {
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) ^ salt.wrapping_mul(40_503)) >> 24;
    (0..len as u32).map(|i| value(i) as f32 / 64.0 - 2.0).collect()
}

fn axis(input: usize, kernel: usize, stride: usize, dilation: usize, pads: [usize; 2]) -> Axis {
    let reach = (kernel - 1) * dilation + 1;
    let output = (input + pads[0] + pads[1] - reach) / stride + 1;
    Axis { input, output, kernel, stride, dilation, pad: pads[0] }
}

/// Axes of every kind, in one to three dimensions.
fn cases() -> Vec<Vec<Axis>> {
    vec![
        vec![axis(7, 3, 1, 1, [0, 0])],
        vec![axis(7, 3, 2, 1, [1, 1])],
        vec![axis(9, 3, 1, 2, [4, 0])],
        vec![axis(5, 2, 3, 1, [0, 0])],
        // Windows that do not touch, and one that reaches beyond both ends.
        vec![axis(11, 2, 4, 1, [1, 0])],
        vec![axis(3, 7, 1, 1, [3, 3])],
        vec![axis(5, 3, 1, 1, [1, 1]), axis(6, 3, 1, 1, [1, 1])],
        vec![axis(5, 3, 2, 1, [0, 1]), axis(7, 2, 3, 1, [0, 1])],
        vec![axis(6, 1, 1, 1, [0, 0]), axis(5, 1, 1, 1, [0, 0])],
        vec![axis(6, 1, 2, 1, [0, 0]), axis(5, 1, 3, 1, [0, 0])],
        vec![axis(9, 3, 1, 3, [3, 3]), axis(8, 2, 1, 2, [0, 2])],
        vec![axis(4, 3, 2, 3, [3, 2]), axis(4, 2, 2, 2, [2, 2])],
        vec![axis(4, 2, 1, 1, [0, 1]), axis(5, 3, 2, 1, [1, 1]), axis(3, 2, 1, 1, [0, 0])],
        vec![axis(40, 5, 1, 1, [2, 2]), axis(33, 5, 1, 1, [2, 2])],
    ]
}

/// `visit(window, place, input)` for every place of every window that lies in the input, as indices in
/// row-major order.
fn each(windows: &Windows, mut visit: impl FnMut(usize, usize, usize)) {
    let along = |axis: &Axis| -> Vec<(usize, usize, usize)> {
        let mut all = Vec::new();
        for o in 0..axis.output {
            for k in 0..axis.kernel {
                let at = o * axis.stride + k * axis.dilation;
                if at >= axis.pad && at - axis.pad < axis.input {
                    all.push((o, k, at - axis.pad));
                }
            }
        }
        all
    };
    let [a, b, c] = &windows.axes;
    let (on_b, on_c) = (along(b), along(c));
    for (oa, ka, ia) in along(a) {
        for (ob, kb, ib) in &on_b {
            for (oc, kc, ic) in &on_c {
                visit(
                    (oa * b.output + ob) * c.output + oc,
                    (ka * b.kernel + kb) * c.kernel + kc,
                    (ia * b.input + ib) * c.input + ic,
                );
            }
        }
    }
}

#[track_caller]
fn close(ours: &[f32], exact: &[f64], what: &str) {
    assert_eq!(ours.len(), exact.len(), "{what}");
    for (i, (ours, exact)) in ours.iter().zip(exact).enumerate() {
        let near = (f64::from(*ours) - exact).abs() < 2e-5 * exact.abs().max(8.0);
        assert!(near, "{what}, element {i}: {ours} {exact}");
    }
}

/// All passes of a convolution.
#[track_caller]
fn check(axes: &[Axis], images: usize, channels: usize, filters: usize, groups: usize) {
    let windows = Windows::new(axes).unwrap();
    let what = format!("{axes:?} {channels} {filters} {groups}");
    let conv = Convolution::new(windows, images, channels, filters, groups).unwrap();
    let x = fill(conv.input_len(), 1);
    let w = fill(conv.kernel_len(), 2);
    let dy = fill(conv.output_len(), 3);
    let (bias, x_bias) = (fill(filters, 4), fill(channels, 5));
    let (cg, og) = (channels / groups, filters / groups);
    let f64s = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
    let mut y = f64s(&bias).repeat(images * windows.output_len());
    let mut dx = f64s(&x_bias).repeat(images * windows.input_len());
    let mut dw = vec![0.0; w.len()];
    each(&windows, |window, place, input| {
        for image in 0..images {
            for n in 0..filters {
                let out = (image * windows.output_len() + window) * filters + n;
                for c in 0..cg {
                    let from = (image * windows.input_len() + input) * channels + n / og * cg + c;
                    let k = (place * cg + c) * filters + n;
                    let [x, w, dy] = [x[from], w[k], dy[out]].map(f64::from);
                    y[out] += x * w;
                    dx[from] += dy * w;
                    dw[k] += x * dy;
                }
            }
        }
    });
    let ours = conv.forward(&x, &w, Some(&bias), &|_| {}).unwrap();
    close(&ours, &y, &format!("forward {what}"));
    let twice = |values: &mut [f32]| values.iter_mut().for_each(|v| *v *= 2.0);
    let finished = conv.forward(&x, &w, Some(&bias), &twice).unwrap();
    assert!(finished.iter().zip(&ours).all(|(a, b)| *a == 2.0 * b), "finish {what}");

    let plain = Operand::plain(&dy);
    let ours = conv.backward_input(plain, &w, Some(&x_bias), &|_| {}).unwrap();
    close(&ours, &dx, &format!("input {what}"));
    // Half the gradient, doubled while it is read.
    let half: Vec<f32> = dy.iter().map(|v| v / 2.0).collect();
    let doubled = Operand { values: &half, change: Some(&|_, v: &mut [f32]| twice(v)) };
    let again = conv.backward_input(doubled, &w, Some(&x_bias), &|_| {}).unwrap();
    assert!(ours == again, "changed {what}");

    let db: Vec<f64> = (0..filters)
        .map(|n| dy[n..].iter().step_by(filters).map(|v| f64::from(*v)).sum())
        .collect();
    let (mut our_dw, mut our_db) = (vec![9.0; w.len()], vec![9.0; filters]);
    let x = Operand::plain(&x);
    assert!(conv.backward_kernel(x, plain, &mut our_dw, Some(&mut our_db), false));
    close(&our_dw, &dw, &format!("kernel {what}"));
    close(&our_db, &db, &format!("bias {what}"));
    assert!(conv.backward_kernel(x, doubled, &mut our_dw, None, true));
    let doubled: Vec<f64> = dw.iter().map(|v| 2.0 * v).collect();
    close(&our_dw, &doubled, &format!("accumulated {what}"));
}

#[test]
fn convolutions_match_the_definition() {
    let channels =
        [(1, 1, 1), (3, 5, 1), (2, 70, 1), (4, 6, 2), (6, 6, 6), (37, 37, 37), (3, 6, 3)];
    for (number, axes) in cases().iter().enumerate() {
        for (channels, filters, groups) in channels {
            let images = if number + channels == 4 { 1 } else { 2 };
            check(axes, images, channels, filters, groups);
        }
    }
}

/// Those of many channels, in tiles and not: odd lengths, every padding, and more channels than a block of columns.
#[test]
fn convolutions_of_many_channels_match_the_definition() {
    for pads in [[0, 0], [1, 1], [0, 2], [2, 1], [2, 2], [3, 0]] {
        for (rows, columns) in [(3, 8), (6, 5), (7, 9), (30, 33)] {
            let axes = [axis(rows, 3, 1, 1, pads), axis(columns, 3, 1, 1, [1, 1])];
            check(&axes, 2, 16, 33, 1);
        }
        let axes = [axis(5, 3, 1, 1, [1, 1]), axis(4, 3, 1, 1, pads)];
        check(&axes, 1, 35, 20, 1);
    }
    let square = [axis(6, 3, 1, 1, [1, 1]); 2];
    for (channels, filters) in [(16, 16), (150, 17), (17, 150), (64, 64)] {
        check(&square, 3, channels, filters, 1);
    }
    check(&square, 2, 64, 32, 2);
    check(&[axis(40, 3, 1, 1, [1, 1]), axis(90, 3, 1, 1, [1, 1])], 9, 32, 32, 1);
    check(
        &[axis(4, 3, 1, 1, [1, 1]), axis(2, 1, 1, 1, [0, 0]), axis(6, 3, 1, 1, [1, 1])],
        2,
        16,
        16,
        1,
    );
}

#[test]
fn pooling_matches_the_definition() {
    for axes in cases() {
        let windows = Windows::new(&axes).unwrap();
        for channels in [1, 3, 16, 35] {
            let images = 2;
            let what = format!("{axes:?} {channels}");
            let x = fill(images * windows.input_len() * channels, 6);
            let dy = fill(images * windows.output_len() * channels, 7);
            let at =
                |image: usize, len: usize, i: usize, c: usize| (image * len + i) * channels + c;
            let mut best = vec![(f32::NEG_INFINITY, 0, 0); dy.len()];
            let (mut sums, mut counts) = (vec![0f64; dy.len()], vec![0f64; dy.len()]);
            for image in 0..images {
                for c in 0..channels {
                    each(&windows, |window, place, input| {
                        let out = at(image, windows.output_len(), window, c);
                        let from = at(image, windows.input_len(), input, c);
                        // Places are not visited in order.
                        let (value, first, _) = best[out];
                        if x[from] > value || (x[from] == value && place < first) {
                            best[out] = (x[from], place, from);
                        }
                        sums[out] += f64::from(x[from]);
                        counts[out] += 1.0;
                    });
                }
            }
            let (y, places) = max_pool(&windows, images, channels, &x).unwrap();
            assert!(y.iter().zip(&best).all(|(y, best)| *y == best.0), "{what}");
            assert!(places.iter().zip(&best).all(|(k, best)| *k as usize == best.1), "{what}");
            let mut dx = vec![0f64; x.len()];
            best.iter().zip(&dy).for_each(|(best, dy)| dx[best.2] += f64::from(*dy));
            let ours = max_pool_backward(&windows, images, channels, &dy, &places).unwrap();
            close(&ours, &dx, &format!("max {what}"));

            let exact: Vec<f64> =
                sums.iter().zip(&counts).map(|(sum, count)| sum / count).collect();
            close(&average_pool(&windows, images, channels, &x).unwrap(), &exact, &what);
            let mut dx = vec![0f64; x.len()];
            for image in 0..images {
                for c in 0..channels {
                    each(&windows, |window, _, input| {
                        let out = at(image, windows.output_len(), window, c);
                        dx[at(image, windows.input_len(), input, c)] +=
                            f64::from(dy[out]) / counts[out];
                    });
                }
            }
            let ours = average_pool_backward(&windows, images, channels, &dy).unwrap();
            close(&ours, &dx, &format!("average {what}"));
        }
    }
}

#[test]
fn maxima_of_infinities_and_not_a_numbers() {
    let windows = Windows::new(&[axis(4, 2, 2, 1, [0, 0])]).unwrap();
    let (y, at) =
        max_pool(&windows, 1, 1, &[f32::NAN, 3.0, f32::NEG_INFINITY, f32::NEG_INFINITY]).unwrap();
    assert!(y[0].is_nan());
    assert_eq!((y[1], at[1]), (f32::NEG_INFINITY, 0));
    let (y, _) = max_pool(&windows, 1, 1, &[3.0, f32::NAN, 1.0, 1.0]).unwrap();
    assert!(y[0].is_nan());
}

#[test]
fn empty_batches_and_misfits() {
    let windows = Windows::new(&[axis(4, 2, 1, 1, [0, 0])]).unwrap();
    let conv = Convolution::new(windows, 0, 2, 3, 1).unwrap();
    let w = fill(conv.kernel_len(), 1);
    assert_eq!(conv.forward(&[], &w, None, &|_| {}), Some(vec![]));
    assert_eq!(conv.backward_input(Operand::plain(&[]), &w, None, &|_| {}), Some(vec![]));
    let mut dw = vec![1.0; w.len()];
    let none = Operand::plain(&[]);
    assert!(conv.backward_kernel(none, none, &mut dw, None, false));
    assert!(dw.iter().all(|v| *v == 0.0));
    assert_eq!(max_pool(&windows, 0, 2, &[]), Some((vec![], vec![])));
    assert_eq!(average_pool_backward(&windows, 0, 2, &[]), Some(vec![]));

    assert!(conv.forward(&[1.0], &w, None, &|_| {}).is_none());
    assert!(conv.forward(&[], &w[1..], None, &|_| {}).is_none());
    assert!(conv.forward(&[], &w, Some(&[1.0]), &|_| {}).is_none());
    assert!(conv.backward_input(Operand::plain(&[1.0]), &w, None, &|_| {}).is_none());
    assert!(!conv.backward_kernel(none, none, &mut dw[1..], None, false));
    assert!(max_pool(&windows, 1, 0, &[]).is_none());
    assert!(max_pool_backward(&windows, 0, 2, &[], &[1]).is_none());
    assert!(Convolution::new(windows, 1, 4, 6, 3).is_none());
    assert!(Convolution::new(windows, usize::MAX, 4, 6, 1).is_none());
    assert!(Windows::new(&[]).is_none());
    let huge = Axis { dilation: usize::MAX / 2, ..windows.axes[2] };
    assert!(Windows::new(&[huge]).is_none());
    assert!(Windows::new(&[Axis { dilation: 1 << 40, ..huge }]).is_none());
    assert!(Windows::new(&[Axis { kernel: 0, ..windows.axes[2] }]).is_none());
}

/// Bands of one image, parts of several, and private gradients of the kernel: all are in use.
#[test]
fn large_images_are_cut() {
    let windows = Windows::new(&[axis(90, 3, 1, 1, [1, 1]), axis(80, 3, 2, 1, [1, 1])]).unwrap();
    let conv = Convolution::new(windows, 3, 20, 24, 1).unwrap();
    assert!(conv.output_len() > 2 * CHUNK);
    let (x, w) = (fill(conv.input_len(), 1), fill(conv.kernel_len(), 2));
    let y = conv.forward(&x, &w, None, &|_| {}).unwrap();
    // <y, y> = <x, dx> = <w, dw> where dy = y: the three passes are adjoint.
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let plain = Operand::plain(&y);
    let dx = conv.backward_input(plain, &w, None, &|_| {}).unwrap();
    let mut dw = vec![0.0; w.len()];
    assert!(conv.backward_kernel(Operand::plain(&x), plain, &mut dw, None, false));
    let whole = dot(&y, &y);
    assert!((dot(&x, &dx) / whole - 1.0).abs() < 1e-6);
    assert!((dot(&w, &dw) / whole - 1.0).abs() < 1e-6);
}
