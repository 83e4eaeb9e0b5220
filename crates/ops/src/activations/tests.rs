//! Every row of the table, every way.

use super::*;
use crate::gradient_check::{check, check_forms, sample};
use candle_core::{DType, Device, Var};

use sconce_core::Tape;
use sconce_testkit::{assert_close, difference, golden};
use serde_json::json;
use std::sync::Arc;

/// Every function of the table with its defaults, and those with parameters with others too.
fn all() -> Vec<(String, Arc<dyn Activation>)> {
    let others = [
        ("relu", json!({"negative_slope": 0.25})),
        ("relu", json!({"max_value": 1.2})),
        ("relu", json!({"max_value": 6.0})),
        ("relu", json!({"threshold": 0.6})),
        ("relu", json!({"negative_slope": 0.25, "max_value": 1.2, "threshold": 0.6})),
        ("relu", json!({"negative_slope": 0.25, "max_value": 1.2, "threshold": -0.6})),
        ("leaky_relu", json!({"negative_slope": -0.3})),
        ("elu", json!({"alpha": 0.7})),
        ("elu", json!({"alpha": -0.7})),
        ("celu", json!({"alpha": 1.7})),
        ("gelu", json!({"approximate": true})),
        ("squareplus", json!({"b": 0.5})),
        ("soft_shrink", json!({"threshold": 0.1})),
        ("hard_shrink", json!({"threshold": 0.1})),
        ("threshold", json!({"threshold": -0.6, "default_value": 7.5})),
        ("softmax", json!({"axis": 0})),
        ("log_softmax", json!({"axis": 0})),
        ("sparsemax", json!({"axis": 0})),
        ("sparsemax", json!({"projection": true})),
        ("glu", json!({"axis": 0})),
    ];
    let defaults = Activations::names().into_iter().filter(|name| *name != "threshold");
    let defaults = defaults.map(|name| (name, json!({})));
    defaults
        .chain(others)
        .map(|(name, config)| {
            let part = ActivationFn::new(name, config.clone()).unwrap();
            (format!("{name} {config}"), part.get().unwrap().clone())
        })
        .collect()
}

fn f32s(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn all_of_keras_and_their_aliases() {
    for case in golden::load("activations") {
        let name = case.config().as_str().unwrap();
        let part = ActivationFn::from(name);
        assert_eq!(part.name(), name);
        // As in Keras, `threshold` cannot be used without its two parameters.
        assert_eq!(part.get().is_err(), name == "threshold", "{name}");
    }
    assert_eq!(ActivationFn::from("swish").name(), "silu");
    assert_eq!(ActivationFn::from("hard_swish").name(), "hard_silu");
    let message = ActivationFn::from("threshold").get().err().unwrap().to_string();
    assert!(
        message.contains("the required keys `threshold`, `default_value` are missing"),
        "{message}"
    );
}

/// The gradient of the sum of `y`, which must be recorded.
fn gradient(y: &Tensor, x: &Var) -> Option<Tensor> {
    sconce_core::gradients(&y.sum_all().unwrap(), &[x]).unwrap().remove(0)
}

/// A bare name says the defaults only: other parameters are written, so that they are not lost.
#[test]
fn parameters_are_written() {
    let written = |part: ActivationFn| part.to_json().unwrap();
    assert_eq!(written("leaky_relu".into()), json!("leaky_relu"));
    assert_eq!(written(LeakyRelu::new().into()), json!("leaky_relu"));
    let steep = written(LeakyRelu::new().negative_slope(0.5).into());
    assert_eq!(steep["config"], json!({"negative_slope": 0.5}));
    assert_eq!(written(ActivationFn::from_json(&steep).unwrap()), steep);
    let threshold = written(Threshold::new(0.5, -1.0).into());
    assert_eq!(threshold["config"], json!({"threshold": 0.5, "default_value": -1.0}));
    assert_eq!(written(ActivationFn::from_json(&threshold).unwrap()), threshold);
}

/// Keras's values and gradients, kinks and large inputs included: of both forms in f32, and of the
/// composed form in f64.
#[test]
fn as_keras() {
    for case in golden::load("activations") {
        let name = case.name();
        let function = name.split('/').next().unwrap();
        let part = ActivationFn::new(function, case.field("arguments").clone()).unwrap();
        let part = part.get().unwrap();
        let run = |composed: bool, dtype: DType| {
            let _tape = Tape::current_or_new();
            let x = Var::from_tensor(&case.tensor("x").to_dtype(dtype).unwrap()).unwrap();
            let y = if composed { part.call_composed(&x) } else { part.call(&x) }.unwrap();
            let g = case.tensor("g").to_dtype(dtype).unwrap();
            let gradient = gradient(&(&y * g).unwrap(), &x).unwrap();
            [("y", y), ("gradient", gradient)]
        };
        // Keras takes tanh in float32 whatever it is given.
        let in_f64 = case.tensor("y64").dtype() == DType::F64;
        for (role, ours) in run(true, DType::F64) {
            let truth = case.tensor(&format!("{role}64"));
            assert_close(
                &format!("{name}: {role} in f64"),
                &ours,
                &truth,
                if in_f64 { 1e-12 } else { 1e-6 },
            );
        }
        for composed in [false, true] {
            for (role, ours) in run(composed, DType::F32) {
                // Nearer to the truth is as good.
                let truth = case.tensor(&format!("{role}64"));
                if difference(&ours, &truth, 2e-6).is_some() {
                    let what = format!("{name}: {role}, composed: {composed}");
                    assert_close(&what, &ours, &case.tensor(role), 2e-6);
                }
            }
        }
    }
}

/// Results near 0 keep their digits: no tail is the difference of two large numbers.
#[test]
fn small_results_are_precise() {
    for case in golden::load("activations") {
        let name = case.name();
        let smooth = ["celu", "elu", "gelu", "mish", "selu", "sigmoid", "silu", "softplus"];
        let also = ["log_sigmoid", "softsign", "squareplus", "tanh_shrink"];
        let function = name.split('/').next().unwrap();
        if !smooth.contains(&function) && !also.contains(&function) {
            continue;
        }
        let part = ActivationFn::new(function, case.field("arguments").clone()).unwrap();
        let y = part.get().unwrap().call(&case.tensor("x")).unwrap();
        let truth = case.tensor("y64").flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for (y, truth) in f32s(&y).into_iter().zip(truth) {
            let error = (f64::from(y) - truth).abs();
            assert!(error <= 5e-6 * truth.abs() + 1e-24, "{name}: {y}, {truth}");
        }
    }
}

#[test]
fn gradients() {
    // -5..5, to reach all pieces.
    let x = (sample("x", &[4, 6]).unwrap() * 2.5).unwrap();
    // All kinks are at tenths.
    let tenths = x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert!(tenths.iter().all(|x| (10.0 * x - (10.0 * x).round()).abs() > 1e-3));
    for (name, activation) in all() {
        let result = check(|x| activation.call(x[0]), std::slice::from_ref(&x), 1e-6);
        assert!(result.is_ok(), "{name}: {result:?}");
    }
}

/// [300, 300] is more than one chunk.
#[test]
fn forms_agree() {
    let few = [&[1][..], &[15], &[16], &[17], &[33], &[3, 5], &[5, 34], &[2, 3, 4]];
    for dims in few.into_iter().chain([&[300, 300][..]]) {
        let x = (sample("x", dims).unwrap() * 5.0).unwrap();
        for (name, activation) in all() {
            if activation.output_dims(&Dims::known(dims)).is_err() {
                continue;
            }
            let (fused, composed) = (
                |x: &[&Tensor]| activation.call(x[0]),
                |x: &[&Tensor]| activation.call_composed(x[0]),
            );
            let result = check_forms(fused, composed, std::slice::from_ref(&x));
            assert!(result.is_ok(), "{name} {dims:?}: {result:?}");
        }
    }
}

/// Inside another operation: the same values, and the same gradients from the results alone.
#[test]
fn fused_ones_agree_with_themselves() {
    let x = (sample("x", &[100]).unwrap() * 5.0).unwrap().to_dtype(DType::F32).unwrap();
    let kinks = [0f32, -0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, 30.0, -30.0];
    let kinks = Tensor::new(&kinks, &Device::Cpu).unwrap();
    let x = Var::from_tensor(&Tensor::cat(&[x, kinks], 0).unwrap()).unwrap();
    for (name, activation) in all().into_iter().filter(|(_, activation)| activation.fuses()) {
        let _tape = Tape::current_or_new();
        let y = activation.call(&x).unwrap();
        let called = gradient(&y, &x);
        let (mut values, mut gradient) = (f32s(&x), vec![1.0; x.elem_count()]);
        activation.map_in_place(&mut values);
        activation.chain_in_place(&values, &mut gradient);
        assert_eq!(values, f32s(&y), "{name}");
        assert_eq!(gradient, f32s(called.as_ref().unwrap_or(&y)), "{name}");
    }
}

/// Inside another operation on more than one chunk: the values and gradients of the composed form.
#[test]
fn fused_ones_agree_over_chunks() {
    let len = 2 * sconce_kernels::CHUNK + 5;
    let f32 = |x: Tensor| x.to_dtype(DType::F32).unwrap();
    let x = Var::from_tensor(&f32((sample("x", &[len]).unwrap() * 5.0).unwrap())).unwrap();
    let dy = f32(sample("dy", &[len]).unwrap());
    for (name, activation) in all().into_iter().filter(|(_, activation)| activation.fuses()) {
        let _tape = Tape::current_or_new();
        let y = activation.call_composed(&x).unwrap();
        let composed = gradient(&(&y * &dy).unwrap(), &x).unwrap();
        let (mut values, mut gradient) = (f32s(&x), f32s(&dy));
        activation.map_in_place(&mut values);
        activation.chain_in_place(&values, &mut gradient);
        let fused = |values| Tensor::from_vec(values, len, &Device::Cpu).unwrap();
        assert_close(&name, &fused(values), &y, 2e-6);
        assert_close(&format!("{name}: gradient"), &fused(gradient), &composed, 1e-5);
    }
}

#[test]
fn empty_inputs() {
    for dims in [&[0][..], &[0, 4], &[4, 0], &[2, 0, 4]] {
        for (name, activation) in all() {
            let _tape = Tape::current_or_new();
            let x = Var::zeros(dims, DType::F32, &Device::Cpu).unwrap();
            let y = activation.call(&x).unwrap();
            let expected = activation.output_dims(&Dims::known(dims)).unwrap();
            assert_eq!(Dims::known(y.dims()), expected, "{name} {dims:?}");
            gradient(&y, &x);
        }
    }
}

#[test]
fn not_a_number_stays() {
    let x = Tensor::new(&[1f32, f32::NAN], &Device::Cpu).unwrap();
    for (name, activation) in all() {
        for y in [activation.call(&x), activation.call_composed(&x)] {
            let y = f32s(&y.unwrap());
            assert!(y.iter().any(|v| v.is_nan()), "{name}: {y:?}");
        }
    }
}

#[test]
fn a_wrong_axis_is_an_error() {
    let x = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
    for name in ["softmax", "log_softmax", "sparsemax", "glu"] {
        let activation = ActivationFn::new(name, json!({"axis": -3})).unwrap();
        let message = activation.get().unwrap().call(&x).unwrap_err().to_string();
        let expected = format!("{name}: axis -3 does not exist in an input of 2 axes");
        assert!(message.starts_with(&expected), "{message}");
    }
    let message = ActivationFn::from("glu").get().unwrap().call(&x).unwrap_err().to_string();
    assert!(
        message.starts_with("glu: the axis to halve has 3 elements, which is odd"),
        "{message}"
    );
}
