//! Every schedule against Keras.

use super::*;
use crate::{Optimizer, SGD};
use sconce_testkit::golden;
use serde_json::json;

#[test]
fn keras_computes_the_same() {
    let mut seen = Vec::new();
    for case in golden::load("schedules") {
        let Some(entry) = Schedules::find(case.config()["class_name"].as_str().unwrap()) else {
            continue;
        };
        seen.push(entry.class_name);
        let schedule = Part::<Schedules>::from_json(case.config()).unwrap();
        assert_eq!(&schedule.to_json().unwrap(), case.config(), "{}", case.name());
        let steps = case.tensor("steps").to_vec1::<i64>().unwrap();
        let exact = case.tensor("learning_rates64").to_vec1::<f64>().unwrap();
        let keras = case.tensor("learning_rates").to_vec1::<f32>().unwrap();
        for ((step, exact), keras) in steps.iter().zip(exact).zip(keras) {
            let ours = schedule.get().unwrap().at(*step as u64);
            // Keras rounds the configured rates to f32 before it computes in f64.
            assert!((ours - exact).abs() <= 4e-8, "{} at {step}: {ours} {exact}", case.name());
            assert!((ours - f64::from(keras)).abs() <= 1e-7, "{} at {step}", case.name());
        }
    }
    for entry in Schedules::entries() {
        assert!(seen.contains(&entry.class_name), "no golden case of {}", entry.class_name);
    }
}

#[test]
fn errors_say_where() {
    let read = |value: Json| LearningRate::from_json(&value);
    let cases = [
        (
            json!({"class_name": "CosineDekay", "config": {}}),
            "at `class_name`: unknown learning rate schedule `CosineDekay`. Did you mean `CosineDecay`?",
        ),
        (
            json!({"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1}}),
            "at `config`: the required key `decay_steps` is missing",
        ),
        (
            json!({"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 0}}),
            "at `config.decay_steps`: must be a number above 0, found 0",
        ),
        (
            json!({"class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 1, "decay_rat": 1}}),
            "at `config.decay_rat`: unknown key `decay_rat`. Did you mean `decay_rate`?",
        ),
        (json!([1]), "must be a number or a learning rate schedule, found [1]"),
    ];
    for (value, expected) in cases {
        let message = read(value).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}\n{expected}");
    }
    for rate in [f64::NAN, f64::INFINITY, -0.1] {
        assert!(Optimizer::from(SGD::new(rate)).get().is_err());
    }
    let error = Optimizer::from(SGD::new(CosineDecay::new(f64::NAN, 10))).get().map(drop);
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("at `learning_rate.initial_learning_rate`: must be"), "{error}");
}
