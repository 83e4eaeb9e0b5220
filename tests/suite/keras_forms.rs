//! Files of models that were made and compiled in less common ways: several inputs and outputs, dicts,
//! models built by their first batch, declared types, Keras's functions as losses.

use sconce::prelude::*;
use sconce_testkit::golden::{self, Case};

fn some(tensors: Vec<Option<Tensor>>) -> Vec<Tensor> {
    tensors.into_iter().flatten().collect()
}

#[track_caller]
fn close(case: &Case, what: &str, ours: &[Tensor], keras: &[Tensor]) {
    let dims = |all: &[Tensor]| all.iter().map(|t| t.dims().to_vec()).collect::<Vec<_>>();
    assert_eq!(dims(ours), dims(keras), "{}: {what}", case.name());
    for (ours, keras) in ours.iter().zip(keras) {
        let f32 = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
        let difference = (f32(ours) - f32(keras)).unwrap().abs().unwrap();
        let worst = difference.flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
        assert!(worst < 1e-5, "{}: {what} differ by {worst}", case.name());
    }
}

#[test]
fn they_predict_and_train_on_as_in_keras() {
    let folder = tempfile::tempdir().unwrap();
    let cases = golden::load("keras_forms");
    assert!(cases.len() >= 12);
    for case in cases {
        let file = golden::path(case.field("file").as_str().unwrap());
        let (x, predictions) = (some(case.tensors("x")), some(case.tensors("predictions")));
        let mut model = Model::load(&file).unwrap();
        close(&case, "predictions", &model.predict_all(&x, 8).unwrap(), &predictions);
        // Written again, the architecture says the same.
        let again = folder.path().join("again.keras");
        model.save(&again).unwrap();
        let copy = Model::load(&again).unwrap();
        assert_eq!(copy.to_json().unwrap(), model.to_json().unwrap());
        close(&case, "predictions of a copy", &copy.predict_all(&x, 8).unwrap(), &predictions);
        if !case.has("y") {
            continue;
        }
        let number = |key: &str| case.field("fit")[key].as_u64().unwrap() as usize;
        let fit = Fit::new(number("epochs"), number("batch_size")).shuffle(false);
        let history = model.fit_with(&x, &case.tensor("y"), fit.verbose(Verbose::Silent)).unwrap();
        close(
            &case,
            "weights",
            &model.network().unwrap().get_weights().unwrap(),
            &some(case.tensors("final")),
        );
        for (key, values) in case.field("history").as_object().unwrap() {
            let ours = history.get(key);
            assert_eq!(ours.len(), values.as_array().unwrap().len(), "{}: {key}", case.name());
            for (ours, keras) in ours.iter().zip(values.as_array().unwrap()) {
                let keras = keras.as_f64().unwrap();
                assert!((ours - keras).abs() < 2e-5, "{}: {key} {ours} {keras}", case.name());
            }
        }
    }
}

#[test]
fn dicts_are_written_as_they_came() {
    let text = Model::load(golden::path("keras_forms/dicts.keras")).unwrap().to_json().unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = serde_json::json!({"narrow": ["narrow", 0, 0], "wide": ["wide", 0, 0]});
    assert_eq!(json["config"]["input_layers"], expected);
    let expected = serde_json::json!({"left": ["left", 0, 0], "right": ["shared", 0, 0]});
    assert_eq!(json["config"]["output_layers"], expected);
}

#[test]
fn one_output_is_not_taken_for_all() {
    let model = Model::load(golden::path("keras_forms/several_outputs.keras")).unwrap();
    let x =
        golden::load("keras_forms").into_iter().find(|c| c.name() == "several_outputs").unwrap();
    let error = model.predict(&some(x.tensors("x"))).unwrap_err().to_string();
    assert!(error.contains("the model has 4 outputs: use `predict_all`"), "{error}");
}

/// Models in models, shared, frozen in part, with `training=False`, and operators, written by us.
#[test]
fn keras_opens_models_of_models() {
    let Some(python) = sconce_testkit::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let names = ["shared_models", "models_as_outputs", "operators"];
    let cases = golden::load("keras_forms").into_iter().filter(|c| names.contains(&c.name()));
    for (index, case) in cases.enumerate() {
        let model = Model::load(golden::path(case.field("file").as_str().unwrap())).unwrap();
        let path = folder.path().join(format!("{index}.keras"));
        model.save(&path).unwrap();
        let mut command = std::process::Command::new(python);
        command.arg(golden::path("check_with_keras.py")).arg(&path);
        for (flag, role) in [("--x", "x"), ("--expect", "predictions")] {
            for (number, tensor) in some(case.tensors(role)).iter().enumerate() {
                let path = folder.path().join(format!("{index}.{role}.{number}.npy"));
                sconce::data::write_npy(&path, tensor).unwrap();
                command.arg(flag).arg(path);
            }
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {text}", case.name());
    }
}

/// Layers that stand in two models are one after reading, and are written once.
#[test]
fn layers_shared_between_models_stay_shared() {
    let model = Model::load(golden::path("keras_forms/shared_between_models.keras")).unwrap();
    let inner = model.get_layer("base").unwrap();
    let deep = model.get_layer("deep").unwrap();
    let deep = deep.downcast::<sconce::model::GraphLayer>().unwrap().graph().unwrap();
    assert!(deep.find("base").unwrap().is(&inner));
    // Kernel and bias: two in the stack, two in the base model, one on top.
    assert_eq!(model.network().unwrap().get_weights().unwrap().len(), 10);
}
