//! Against Keras 3.15.1 (JAX).

use super::*;
use crate::registry_case::{check_golden, check_rows, refuses};
use sconce_core::{Constraint as _, DType, Device, Json, Tensor};
use sconce_testkit::assert_close;
use serde_json::json;

#[test]
fn every_row_is_keras() {
    check_rows::<Constraints>(&[
        ("MaxNorm", json!({"max_value": 2.0, "axis": 0})),
        ("MinMaxNorm", json!({"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0})),
        ("NonNeg", json!({})),
        ("UnitNorm", json!({"axis": 0})),
    ]);
}

#[test]
fn projections_are_keras() {
    check_golden::<Constraints>("constraints", |case, part| {
        for (suffix, dtype, tolerance) in [("", DType::F32, 1e-6), ("64", DType::F64, 1e-12)] {
            let weight = case.tensor("w").to_dtype(dtype).unwrap();
            let projected = part.get().unwrap().project(&weight).unwrap();
            let expected = case.tensor(&format!("projected{suffix}"));
            assert_close(case.name(), &projected, &expected, tolerance);
        }
    });
}

#[test]
fn all_axes_have_one_norm() {
    let weight = Tensor::new(&[[3f32, 0.0], [0.0, 4.0]], &Device::Cpu).unwrap();
    let projected = UnitNorm::default().axis(Axis::All).project(&weight).unwrap();
    let expected = Tensor::new(&[[0.6f32, 0.0], [0.0, 0.8]], &Device::Cpu).unwrap();
    assert_close("all axes", &projected, &expected, 1e-6);
}

#[test]
fn axes_as_keras_writes_them() {
    for axis in [json!(0), json!(-1), json!([0, 1, 2]), json!(null)] {
        let part = Constraint::new("unit_norm", json!({"axis": axis})).unwrap();
        assert_eq!(part.config().unwrap(), &json!({"axis": axis}));
    }
    let refuse = |axis: Json| {
        let document = json!({"class_name": "UnitNorm", "config": {"axis": axis}});
        refuses::<Constraints>(
            document,
            "config.axis",
            "must be a whole number, a list of them, or null for all axes",
        );
    };
    refuse(json!(0.5));
    refuse(json!("0"));
    refuse(json!([0, null]));
    let weight = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
    for axis in [2, -3] {
        let part = Constraint::from(MaxNorm::default().axis(axis));
        let error = part.get().unwrap().project(&weight).unwrap_err().to_string();
        let expected =
            format!("names the axis {axis}, which a weight of shape [2, 3] does not have");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn null_is_none() {
    let read = |json: Json| serde_json::from_value::<Option<Constraint>>(json);
    assert!(read(json!(null)).unwrap().is_none());
    assert_eq!(read(json!("NonNeg")).unwrap().unwrap().name(), "non_neg");
}

#[test]
fn unusable_configurations_are_refused() {
    let refuse = |name: &str, config: Json, path: &str, message: &str| {
        refuses::<Constraints>(json!({"class_name": name, "config": config}), path, message);
    };
    refuse("MaxNorm", json!({"max_value": -1}), "config.max_value", "at least 0, found -1");
    refuse("MinMaxNorm", json!({"min_value": -1}), "config.min_value", "at least 0, found -1");
    refuse(
        "MinMaxNorm",
        json!({"min_value": 3}),
        "config.max_value",
        "at least min_value (3), found 1",
    );
    refuse("MinMaxNorm", json!({"rate": 1.5}), "config.rate", "from 0 to 1, found 1.5");
}
