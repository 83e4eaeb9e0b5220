//! Against Keras 3.15.1 (JAX), and gradients against finite differences in f64.

use super::*;
use crate::registry_case::{check_golden, check_rows, refuses};
use sconce_core::{DType, Device, Json, Regularizer as _, Var};
use sconce_ops::gradient_check;
use sconce_testkit::assert_close;
use serde_json::json;

#[test]
fn every_row_is_keras() {
    check_rows::<Regularizers>(&[
        ("L1", json!({"l1": 0.01})),
        ("L2", json!({"l2": 0.01})),
        ("L1L2", json!({"l1": 0.0, "l2": 0.0})),
        ("OrthogonalRegularizer", json!({"factor": 0.01, "mode": "rows"})),
    ]);
}

#[test]
fn penalties_and_gradients_are_keras() {
    check_golden::<Regularizers>("regularizers", |case, part| {
        for (suffix, dtype, tolerance) in [("", DType::F32, 2e-6), ("64", DType::F64, 1e-7)] {
            let weight = Var::from_tensor(&case.tensor("w").to_dtype(dtype).unwrap()).unwrap();
            let penalty = part.get().unwrap().penalty(&weight).unwrap();
            // candle leaves out a gradient that is multiplied by 0.
            let gradient = penalty.backward().unwrap().remove(&weight);
            let gradient = gradient.unwrap_or_else(|| weight.zeros_like().unwrap());
            let expected = |role: &str| case.tensor(&format!("{role}{suffix}"));
            assert_close(case.name(), &penalty, &expected("value"), tolerance);
            assert_close(case.name(), &gradient, &expected("gradient"), tolerance);
        }
    });
}

fn every_kind() -> [Regularizer; 5] {
    [
        L1::new(0.1).into(),
        L2::new(0.2).into(),
        L1L2::new(0.1, 0.2).into(),
        OrthogonalRegularizer::new(0.5, Orthogonality::Rows).into(),
        OrthogonalRegularizer::new(0.5, Orthogonality::Columns).into(),
    ]
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for regularizer in every_kind() {
        let weight = gradient_check::sample("weight", &[4, 5]).unwrap();
        let penalty = |x: &[&Tensor]| Ok(regularizer.get()?.penalty(x[0])?);
        gradient_check::check(penalty, &[weight], 1e-6).unwrap();
    }
}

#[test]
fn a_zero_row_has_a_finite_gradient() {
    let weight = Var::new(&[[0f32, 0.0], [1.0, 2.0]], &Device::Cpu).unwrap();
    let penalty = OrthogonalRegularizer::default().penalty(&weight).unwrap();
    assert_eq!(penalty.to_scalar::<f32>().unwrap(), 0.0);
    let gradient = penalty.backward().unwrap().remove(&weight).unwrap();
    let gradient = gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
}

#[test]
fn any_layout_will_do() {
    let weight = Tensor::arange(0f32, 6.0, &Device::Cpu).unwrap().reshape((2, 3)).unwrap();
    let (turned, straight) = (weight.t().unwrap(), weight.t().unwrap().contiguous().unwrap());
    for regularizer in every_kind() {
        let penalty =
            |x: &Tensor| regularizer.get().unwrap().penalty(x).unwrap().to_scalar::<f32>().unwrap();
        assert_eq!(penalty(&turned), penalty(&straight), "{regularizer:?}");
    }
}

#[test]
fn null_is_none() {
    let read = |json: Json| serde_json::from_value::<Option<Regularizer>>(json);
    assert!(read(json!(null)).unwrap().is_none());
    assert_eq!(read(json!("l2")).unwrap().unwrap().class_name(), "L2");
}

#[test]
fn unusable_configurations_are_refused() {
    let refuse = |name: &str, config: Json, path: &str, message: &str| {
        refuses::<Regularizers>(json!({"class_name": name, "config": config}), path, message);
    };
    refuse("L1", json!({"l1": -0.1}), "config.l1", "at least 0, found -0.1");
    refuse(
        "L2",
        json!({"l2": "a lot"}),
        "config.l2",
        "must be a number of at least 0, found \"a lot\"",
    );
    refuse("L1L2", json!({"l2": -1}), "config.l2", "at least 0, found -1");
    refuse("OrthogonalRegularizer", json!({"mode": "row"}), "config.mode", "Did you mean `rows`?");
    let error = Regularizer::from(L2::new(f64::NAN)).get().err().unwrap().to_string();
    assert!(error.contains("at `l2`: must be a number of at least 0, found NaN"), "{error}");
    let vector = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
    for (weight, mode) in [
        (vector.clone(), Orthogonality::Rows),
        (vector.reshape((1, 3)).unwrap(), Orthogonality::Rows),
        (vector.reshape((3, 1)).unwrap(), Orthogonality::Columns),
    ] {
        let error = OrthogonalRegularizer::new(1.0, mode).penalty(&weight).unwrap_err().to_string();
        assert!(error.contains("a matrix of at least two"), "{error}");
    }
}
