//! Runs of functional models against Keras's: several inputs, shared layers, masks, and losses, weights
//! and metrics for each output in every form; and the compile state in files.

use crate::{Compile, Fit, Model, Verbose};
use sconce_core::{DType, Device, Json, Result, Tensor};
use sconce_testkit::golden::{self, Case};
use sconce_testkit::{devices, difference};

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
        fit = fit.sample_weight(&some(case, "sample_weight"));
    }
    if case.has("x_val") {
        fit = fit.validation_data(&some(case, "x_val"), &some(case, "y_val"));
    }
    if case.has("sample_weight_val") {
        fit = fit.validation_sample_weight(&some(case, "sample_weight_val"));
    }
    fit
}

fn model(case: &Case, device: &Device) -> Model {
    let mut model = Model::from_json(&case.config().to_string()).unwrap();
    model.set_device(device);
    model.compile_with(Compile::from_json(case.field("compile_config")).unwrap()).unwrap();
    model.network().unwrap().set_weights(&some(case, "initial")).unwrap();
    model
}

/// Everything in which a run of ours differs from Keras's.
fn differences(case: &Case, device: &Device) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut number = |what: &str, ours: Option<f64>, keras: &Json| {
        let (ours, keras) = (ours.unwrap_or(f64::NAN), keras.as_f64().unwrap());
        if ours.is_nan() || (ours - keras).abs() > 2e-5 * keras.abs().max(1.0) {
            wrong.push(format!("{what} is {ours}, Keras's {keras}"));
        }
    };
    let mut model = model(case, device);
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
    assert_eq!(history.history.keys().next().unwrap(), "loss");

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
    let variables = model.compiled()?.optimizer_state().map(|state| state.variables());
    let variables = variables.transpose()?.unwrap_or_default();
    let expected = some(case, "optimizer_variables");
    assert_eq!(variables.len(), expected.len(), "{}", case.name());
    for ((path, ours), keras) in variables.iter().zip(&expected) {
        wrong.extend(difference(ours, keras, 1e-5).map(|d| format!("{path}: {d}")));
    }
    // Those of float64, from which a run of Keras in float32 is as far as one of ours.
    let predictions = model.predict_all(&some(case, "x"), 16)?;
    let expected = some(case, "predictions64");
    assert_eq!(predictions.len(), expected.len(), "{}", case.name());
    for (ours, keras) in predictions.iter().zip(expected) {
        wrong.extend(difference(ours, &keras, 1e-5).map(|d| format!("predictions: {d}")));
    }
    Ok(wrong)
}

#[test]
fn functional_runs_end_as_in_keras() {
    let mut cases = golden::load("functional_training");
    assert!(cases.len() >= 20);
    let groups =
        ["layer_training", "attention_training", "sequence_training", "image_models_training"];
    cases.extend(groups.into_iter().flat_map(golden::load));
    for device in devices() {
        let mut wrong = Vec::new();
        for case in &cases {
            let found = differences(case, &device).unwrap_or_else(|error| vec![error.to_string()]);
            wrong.extend(found.into_iter().map(|what| format!("{}: {what}", case.name())));
        }
        assert!(wrong.is_empty(), "on {:?}:\n{}", device.location(), wrong.join("\n"));
    }
}

/// The same classes and functions, whose arguments are those of Keras as far as both write them.
fn same_objects(ours: &Json, keras: &Json) {
    match (ours, keras) {
        (Json::Object(a), Json::Object(b)) => {
            assert_eq!(a.get("class_name"), b.get("class_name"));
            for (key, value) in a {
                let other = b.get(key).filter(|_| key != "registered_name");
                other.into_iter().for_each(|other| same_objects(value, other));
            }
        }
        (Json::Array(a), Json::Array(b)) => {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).for_each(|(a, b)| same_objects(a, b));
        }
        _ => assert_eq!(ours, keras),
    }
}

#[test]
fn compile_states_of_several_outputs_go_through_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.keras");
    for case in golden::load("functional_training") {
        let mut before = model(&case, &Device::Cpu);
        let (x, y) = (some(&case, "x"), some(&case, "y"));
        let scores = before.evaluate(&x, &y).unwrap();
        before.save(&path).unwrap();
        let mut after = Model::load(&path).unwrap();
        assert_eq!(after.evaluate(&x, &y).unwrap(), scores, "{}", case.name());
        for key in ["loss_weights", "metrics", "weighted_metrics"] {
            let json = after.compiled().unwrap().to_json().unwrap();
            let keras = &case.field("compile_config")[key];
            // A name whose metric depends on the loss's logits may be written out.
            let form = |json: &Json| (json.is_array(), json.is_object(), json.is_null());
            assert_eq!(form(&json[key]), form(keras), "{}: {key}", case.name());
            if ["metrics/losses", "metrics/intersections"].contains(&case.name()) {
                same_objects(&json[key], keras);
            }
        }
    }
}

#[test]
fn what_does_not_go_with_the_outputs_is_refused_before_training() {
    let cases = golden::load("functional_training");
    let case = cases.iter().find(|case| case.name() == "loss/list").unwrap();
    let x = some(case, "x");
    let a = some(case, "y").swap_remove(0);
    let refused = |compile: Json, y: &[Tensor]| {
        let mut model = Model::from_json(&case.config().to_string()).unwrap();
        let compiled = Compile::from_json(&compile).and_then(|c| model.compile_with(c));
        let fit = Fit::new(1, 16).verbose(Verbose::Silent);
        let run = compiled.and_then(|()| model.fit_with(&x, y, fit).map(drop));
        run.unwrap_err().to_string()
    };
    let two = [a.clone(), Tensor::zeros((42, 2), DType::F32, &Device::Cpu).unwrap()];
    let error = refused(serde_json::json!({"loss": ["mse", "mse", "mse"]}), &two);
    assert!(error.contains("at `loss`: one loss for each output is needed, found 3"), "{error}");
    let error = refused(serde_json::json!({"loss": {"a": "mse", "c": "mse"}}), &two);
    assert!(error.contains("at `loss.c`: unknown output `c`"), "{error}");
    let error = refused(serde_json::json!({"loss": {"a": "mse"}}), &two);
    assert!(error.contains("the output `b` is missing"), "{error}");
    let losses = serde_json::json!({"loss": ["sparse_categorical_crossentropy", "mse"]});
    let error = refused(losses.clone(), &two[..1]);
    assert!(error.contains("y holds 1 array, the model has 2 outputs (a, b)"), "{error}");
    let error = refused(losses, &[two[1].clone(), a]);
    assert!(error.contains("y of `a`"), "{error}");
    let metrics = serde_json::json!({"loss": "mse", "metrics": ["mae", "mae", "mae"]});
    let error = refused(metrics, &two);
    assert!(error.contains("at `metrics`: one metrics for each output"), "{error}");
}

#[test]
fn targets_of_outputs_without_a_loss_may_be_left_out() {
    let cases = golden::load("functional_training");
    let case = cases.iter().find(|case| case.name() == "loss/list").unwrap();
    let y = some(case, "y");
    let run = |y: &[Tensor]| {
        let mut model = Model::from_json(&case.config().to_string()).unwrap();
        let compile = serde_json::json!({"loss": [null, "mse"], "metrics": [null, ["mae"]]});
        model.compile_with(Compile::from_json(&compile).unwrap()).unwrap();
        model.network().unwrap().set_weights(&some(case, "initial")).unwrap();
        let fit = Fit::new(3, 16).shuffle(false).verbose(Verbose::Silent);
        let history = model.fit_with(&some(case, "x"), y, fit).unwrap();
        let compiled = model.compiled().unwrap();
        assert_eq!(compiled.names_of_targets(1), ["b"]);
        assert_eq!(compiled.names_of_targets(2), ["a", "b"]);
        history
    };
    let (all, one) = (run(&y), run(&y[1..]));
    for name in ["loss", "b_mae"] {
        assert_eq!(all.get(name).len(), 3, "{name}");
        assert_eq!(all.get(name), one.get(name), "{name}");
    }
}
