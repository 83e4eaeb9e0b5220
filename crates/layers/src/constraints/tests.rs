//! Against Keras 3.15.1 (JAX).

use super::*;
use crate::registry_case::{check_rows, refuses};
use sconce_core::{Device, Json, Tensor};
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

fn check(constraint: impl Into<Constraint>, weight: &Tensor, expected: &[f32]) {
    let constraint = constraint.into();
    let found = constraint.get().unwrap().project(weight).unwrap();
    assert_eq!(found.dims(), weight.dims());
    let found = found.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-6, "{constraint:?}: {found:?}");
    }
}

#[test]
fn projections_are_keras() {
    let w = Tensor::new(&[[0.5f32, -1.0, 0.0], [2.0, 0.25, -3.0]], &Device::Cpu).unwrap();
    let t = Tensor::arange(-6f32, 6.0, &Device::Cpu).unwrap().reshape((2, 3, 2)).unwrap();
    let t = (t / 4.0).unwrap();
    check(
        MaxNorm::new(1.5),
        &w,
        &[0.363_803_45, -0.999_999_9, 0.0, 1.455_213_8, 0.249_999_97, -1.5],
    );
    check(
        MaxNorm::new(1.5).axis(1),
        &w,
        &[0.499_999_94, -0.999_999_9, 0.0, 0.830_057_4, 0.103_757_17, -1.245_086_1],
    );
    check(
        MaxNorm::new(1.0).axis([0, -1]),
        &t,
        &[
            -0.762_000_74,
            -0.635_000_6,
            -0.648_885_7,
            -0.486_664_24,
            -0.294_883_88,
            -0.147_441_94,
            0.0,
            0.127_000_12,
            0.324_442_83,
            0.486_664_24,
            0.589_767_75,
            0.737_209_7,
        ],
    );
    check(
        MaxNorm::new(1.0).axis(Axis::All),
        &w,
        &[0.132_163_72, -0.264_327_44, 0.0, 0.528_654_9, 0.066_081_86, -0.792_982_34],
    );
    check(
        MinMaxNorm::new(1.0, 2.0),
        &w,
        &[0.485_071_27, -0.999_999_9, 0.0, 1.940_285_1, 0.249_999_97, -2.0],
    );
    check(
        MinMaxNorm::new(1.0, 2.0).rate(0.25).axis(-1),
        &w,
        &[0.499_999_94, -0.999_999_9, 0.0, 1.776_685_7, 0.222_085_71, -2.665_028_6],
    );
    check(
        UnitNorm::default(),
        &w,
        &[0.242_535_64, -0.970_142_4, 0.0, 0.970_142_54, 0.242_535_6, -1.0],
    );
    check(
        UnitNorm::default().axis([0, 1]),
        &t,
        &[
            -0.688_247_2,
            -0.597_614_3,
            -0.458_831_46,
            -0.358_568_58,
            -0.229_415_73,
            -0.119_522_86,
            0.0,
            0.119_522_86,
            0.229_415_73,
            0.358_568_58,
            0.458_831_46,
            0.597_614_3,
        ],
    );
    check(NonNeg::default(), &w, &[0.5, 0.0, 0.0, 2.0, 0.25, 0.0]);
    let zeros = w.zeros_like().unwrap();
    check(UnitNorm::default(), &zeros, &[0.0; 6]);
}

#[test]
fn axes_as_keras_writes_them() {
    for axis in [json!(0), json!(-1), json!([0, 1, 2]), json!(null)] {
        let part = Constraint::new("unit_norm", json!({"axis": axis})).unwrap();
        assert_eq!(part.config().unwrap(), &json!({"axis": axis}));
    }
    let refuse = |axis: Json| {
        let document = json!({"class_name": "UnitNorm", "config": {"axis": axis}});
        refuses::<Constraints>(document, "config.axis", "an axis is a whole number, a list");
    };
    refuse(json!(0.5));
    refuse(json!("0"));
    refuse(json!([0, null]));
    let weight = Tensor::zeros((2, 3), sconce_core::DType::F32, &Device::Cpu).unwrap();
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
