//! Runs of functional models against Keras's: several inputs, shared layers, masks, and losses, weights
//! and metrics for each output in every form.

use crate::{Compile, Fit, Model, Verbose};
use sconce_core::{Json, Result, Tensor};
use sconce_testkit::difference;
use sconce_testkit::golden::{self, Case};

fn some(case: &Case, role: &str) -> Vec<Tensor> {
    if case.has(role) { case.tensors(role).into_iter().flatten().collect() } else { Vec::new() }
}

fn fit(case: &Case) -> Fit {
    let arguments = case.field("fit");
    let count = |key: &str| arguments[key].as_u64().unwrap() as usize;
    let mut fit =
        Fit::new(count("epochs"), count("batch_size")).shuffle(false).verbose(Verbose::Silent);
    if let Some(part) = arguments["validation_split"].as_f64() {
        fit = fit.validation_split(part);
    }
    if case.has("sample_weight") {
        fit = fit.sample_weight(&some(case, "sample_weight")).unwrap();
    }
    if case.has("x_val") {
        fit = fit.validation_data(&some(case, "x_val"), &some(case, "y_val")).unwrap();
    }
    if case.has("sample_weight_val") {
        fit = fit.validation_sample_weight(&some(case, "sample_weight_val")).unwrap();
    }
    fit
}

fn model(case: &Case) -> Model {
    let mut model = Model::from_json(&case.config().to_string()).unwrap();
    model.compile_with(Compile::from_json(case.field("compile_config")).unwrap()).unwrap();
    model.network().unwrap().set_weights(&some(case, "initial")).unwrap();
    model
}

/// Everything in which a run of ours differs from Keras's.
fn differences(case: &Case) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut number = |what: &str, ours: Option<f64>, keras: &Json| {
        let (ours, keras) = (ours.unwrap_or(f64::NAN), keras.as_f64().unwrap());
        if ours.is_nan() || (ours - keras).abs() > 2e-5 * keras.abs().max(1.0) {
            wrong.push(format!("{what} is {ours}, Keras's {keras}"));
        }
    };
    let mut model = model(case);
    let history = model.fit_with(&some(case, "x"), &some(case, "y"), fit(case))?;
    for role in ["history", "history64"] {
        for (name, values) in case.field(role).as_object().unwrap() {
            let (ours, keras) = (history.get(name), values.as_array().unwrap());
            assert_eq!(ours.len(), keras.len(), "{}: {name}", case.name());
            for (epoch, (ours, keras)) in ours.iter().zip(keras).enumerate() {
                number(&format!("{role} {name}[{epoch}]"), Some(*ours), keras);
            }
        }
    }
    // Exactly Keras's names: nothing more is logged.
    let keras = case.field("history").as_object().unwrap();
    let more: Vec<&String> = history.history.keys().filter(|k| !keras.contains_key(*k)).collect();
    assert!(more.is_empty(), "{}: {more:?}", case.name());

    if let Some(expected) = case.field("evaluate").as_object() {
        let (x, y) = (some(case, "x_val"), some(case, "y_val"));
        // Weights for each output are for validation data.
        let scores = match some(case, "sample_weight_val").as_slice() {
            [] => Some(model.evaluate_with(&x, &y, 16, None)?),
            [one] => Some(model.evaluate_with(&x, &y, 16, Some(one))?),
            _ => None,
        };
        for (name, keras) in expected {
            let ours = match &scores {
                Some(scores) => scores.get(name),
                None => history.last(&format!("val_{name}")),
            };
            number(&format!("evaluate {name}"), ours, keras);
        }
    }
    for role in ["final", "final64"] {
        let ours = model.network()?.get_weights()?;
        assert_eq!(ours.len(), some(case, role).len(), "{}", case.name());
        for (ours, keras) in ours.iter().zip(some(case, role)) {
            wrong.extend(difference(ours, &keras, 1e-5).map(|d| format!("{role}: {d}")));
        }
    }
    let predictions = model.predict_all(&some(case, "x"), 16)?;
    for (ours, keras) in predictions.iter().zip(some(case, "predictions")) {
        wrong.extend(difference(ours, &keras, 1e-5).map(|d| format!("predictions: {d}")));
    }
    Ok(wrong)
}

#[test]
fn functional_runs_end_as_in_keras() {
    let mut cases = golden::load("functional_training");
    assert!(cases.len() >= 20);
    cases.extend(golden::load("layer_training"));
    let mut wrong = Vec::new();
    for case in cases {
        let found = differences(&case).unwrap_or_else(|error| vec![error.to_string()]);
        wrong.extend(found.into_iter().map(|what| format!("{}: {what}", case.name())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
