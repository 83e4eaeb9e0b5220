//! Runs of models with several outputs against Keras's: weights, history, optimizer variables, and
//! the compile state as Keras writes it.

use crate::{Compile, Fit, Model, Verbose};
use sconce_core::{Device, Json, Tensor};
use sconce_testkit::difference;
use sconce_testkit::golden::{self, Case};

fn model(case: &Case) -> Model {
    let mut model = Model::from_json(&case.config().to_string()).unwrap();
    model.compile_with(Compile::from_json(case.field("compile_config")).unwrap()).unwrap();
    let initial: Vec<Tensor> = case.tensors("initial").into_iter().flatten().collect();
    model.network().unwrap().set_weights(&initial).unwrap();
    model
}

#[test]
fn runs_of_several_outputs_end_as_in_keras() {
    let cases = golden::load("heads");
    assert!(cases.len() >= 9);
    for case in cases {
        let mut model = model(&case);
        let (x, a, b) = (case.tensor("x"), case.tensor("a"), case.tensor("b"));
        let part = |t: &Tensor| t.narrow(0, 0, 10).unwrap();
        let mut fit = Fit::new(3, 16)
            .shuffle(false)
            .verbose(Verbose::Silent)
            .validation_data(&part(&x), &[part(&a), part(&b)]);
        if case.has("weight_a") {
            let weights = [case.tensor("weight_a"), case.tensor("weight_b")];
            fit = fit.sample_weight(&weights);
        }
        let history = model.fit_with(&x, &[a, b], fit).unwrap();
        let name = case.name();
        for (key, keras) in case.field("history").as_object().unwrap() {
            let ours = history.get(key);
            let keras: Vec<f64> = keras.as_array().unwrap().iter().flat_map(Json::as_f64).collect();
            assert_eq!(ours.len(), keras.len(), "{name}: {key}: {ours:?}");
            for (ours, keras) in ours.iter().zip(&keras) {
                assert!((ours - keras).abs() < 2e-5 * keras.abs().max(1.0), "{name}: {key}");
            }
        }
        // Exactly Keras's names: nothing more is logged.
        let count = case.field("history").as_object().unwrap().len();
        assert_eq!(history.history.len(), count, "{name}: {:?}", history.history.keys());
        assert_eq!(history.history.keys().next().unwrap(), "loss");
        let weights = model.network().unwrap().get_weights().unwrap();
        for (ours, keras) in weights.iter().zip(case.tensors("final")) {
            assert_eq!(difference(ours, &keras.unwrap(), 1e-5), None, "{name}");
        }
        let state = model.compiled().unwrap().optimizer_state().unwrap();
        let variables = state.variables().unwrap();
        for ((path, ours), keras) in variables.iter().zip(case.tensors("optimizer_variables")) {
            assert_eq!(difference(ours, &keras.unwrap(), 1e-5), None, "{name}: {path}");
        }
    }
}

#[test]
fn compile_states_of_several_outputs_go_through_files() {
    let folder = tempfile::tempdir().unwrap();
    for (index, case) in golden::load("heads").iter().enumerate() {
        let mut before = model(case);
        let (x, y) = (case.tensor("x"), [case.tensor("a"), case.tensor("b")]);
        let scores = before.evaluate(&x, &y).unwrap();
        let path = folder.path().join(format!("{index}.keras"));
        before.save(&path).unwrap();
        let mut after = Model::load(&path).unwrap();
        assert_eq!(after.evaluate(&x, &y).unwrap(), scores, "{}", case.name());
        for key in ["loss_weights", "metrics", "weighted_metrics"] {
            let json = after.compiled().unwrap().to_json().unwrap();
            let keras = &case.field("compile_config")[key];
            // A name whose metric depends on the loss's logits may be written out.
            let form = |json: &Json| (json.is_array(), json.is_object(), json.is_null());
            assert_eq!(form(&json[key]), form(keras), "{}: {key}", case.name());
        }
    }
}

#[test]
fn what_does_not_go_with_the_outputs_is_refused_before_training() {
    let cases = golden::load("heads");
    let case = &cases[0];
    let (x, a) = (case.tensor("x"), case.tensor("a"));
    let refused = |compile: Json, y: &[Tensor]| {
        let mut model = Model::from_json(&case.config().to_string()).unwrap();
        let compiled = Compile::from_json(&compile).and_then(|c| model.compile_with(c));
        let fit = Fit::new(1, 16).verbose(Verbose::Silent);
        let run = compiled.and_then(|()| model.fit_with(&x, y, fit).map(drop));
        run.unwrap_err().to_string()
    };
    let two = [a.clone(), Tensor::zeros((40, 2), x.dtype(), &Device::Cpu).unwrap()];
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
