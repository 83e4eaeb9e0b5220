//! Whole training runs that Keras made: the same model, compile state, data and arguments of fit give
//! the same weights, history, scores, predictions and optimizer variables.

use crate::callbacks::CallbackPart;
use crate::optimizers::{LossScaleOptimizer, Optimizer, OptimizerExt, SGD};
use crate::{Compile, Fit, Model, Sequential, Verbose};
use sconce_core::{Device, Json, Result, Stream, Tensor};
use sconce_layers::Dense;
use sconce_testkit::golden::{self, Case};
use sconce_testkit::{devices, difference};

/// The arguments of fit that a case gives.
fn fit(case: &Case) -> Fit {
    let mut fit = Fit::default().verbose(Verbose::Silent);
    for (key, value) in case.field("fit").as_object().unwrap() {
        let count = || value.as_u64().unwrap() as usize;
        fit = match (key.as_str(), value) {
            ("batch_size", Json::Null) => fit,
            ("batch_size", _) => fit.batch_size(count()),
            ("epochs", _) => fit.epochs(count()),
            ("initial_epoch", _) => fit.initial_epoch(count()),
            ("shuffle", _) => fit.shuffle(value.as_bool().unwrap()),
            ("steps_per_epoch", _) => fit.steps_per_epoch(count()),
            ("validation_batch_size", _) => fit.validation_batch_size(count()),
            ("validation_freq", _) => fit.validation_freq(count()),
            ("validation_split", _) => fit.validation_split(value.as_f64().unwrap()),
            ("class_weight", _) => {
                fit.class_weight(value.as_object().unwrap().iter().map(|(class, weight)| {
                    (class.parse().unwrap(), weight.as_f64().unwrap() as f32)
                }))
            }
            (key, _) => panic!("{}: fit has no argument {key}", case.name()),
        };
    }
    if case.has("sample_weight") {
        fit = fit.sample_weight(&case.tensor("sample_weight"));
    }
    if case.has("x_val") {
        fit = fit.validation_data(&case.tensor("x_val"), &case.tensor("y_val"));
    }
    if case.has("sample_weight_val") {
        fit = fit.validation_sample_weight(&case.tensor("sample_weight_val"));
    }
    for callback in case.field("callbacks").as_array().unwrap() {
        let callback = CallbackPart::from_json(callback).unwrap();
        fit = fit.callbacks([callback.get().unwrap().start()]);
    }
    fit
}

/// What `compile` was given. Keras forgets Huber's delta when it writes a config.
fn compile(case: &Case) -> Result<Compile> {
    let mut config = case.field("compile_config").clone();
    if case.name() == "loss/huber_delta" {
        config["loss"]["config"]["delta"] = 0.3.into();
    }
    Compile::from_json(&config)
}

/// Whether a value is one that Keras computes otherwise on purpose of ours: a crossentropy named as
/// a metric takes outputs that are logits for logits, as the loss does.
fn differs(case: &Case, name: &str) -> bool {
    ["metrics/sparse", "metrics/weighted"].contains(&case.name())
        && name.ends_with("sparse_categorical_crossentropy")
}

/// Everything in which a run of ours differs from Keras's.
fn differences(case: &Case, device: &Device) -> Result<Vec<String>> {
    let mut model = Model::from_json(&case.config().to_string())?;
    model.set_device(device);
    model.compile_with(compile(case)?)?;
    let initial: Vec<Tensor> = case.tensors("initial").into_iter().flatten().collect();
    model.network()?.set_weights(&initial)?;
    let history = model.fit_with(&case.tensor("x"), &case.tensor("y"), fit(case))?;

    let mut wrong = Vec::new();
    let mut compare = |what: &str, ours: &Tensor, keras: &Tensor, tolerance: f64| {
        let difference = difference(ours, keras, tolerance);
        wrong.extend(difference.map(|d| format!("{}, {what}: {d}", case.name())));
    };
    for role in ["final", "final64"] {
        for (ours, keras) in model.network()?.get_weights()?.iter().zip(case.tensors(role)) {
            compare(role, ours, &keras.unwrap(), 1e-5);
        }
    }
    // Keras computes Adam's corrections in f32, which is up to 5e-5 off; there is no f64 of these.
    let variables = model.compiled_mut()?.optimizer()?.variables()?;
    let keras = case.tensors("optimizer_variables");
    for ((name, ours), keras) in variables.iter().zip(&keras) {
        compare(name, ours, keras.as_ref().unwrap(), 5e-5);
    }
    let x = case.tensor(if case.has("x_val") { "x_val" } else { "x" });
    compare("predictions", &model.predict(&x)?, &case.tensor("predictions"), 5e-5);

    let list = |values: &[f64]| Tensor::new(values, &Device::Cpu);
    if let Some(expected) = case.field("evaluate").as_object() {
        let weight = case.has("sample_weight_val").then(|| case.tensor("sample_weight_val"));
        let scores = model.evaluate_with(&x, &case.tensor("y_val"), 16, weight.as_ref())?;
        for (name, value) in expected.iter().filter(|(name, _)| !differs(case, name)) {
            let ours = list(&[scores.get(name).unwrap()])?;
            compare(name, &ours, &list(&[value.as_f64().unwrap()])?, 1e-5);
        }
    }
    for role in ["history", "history64"] {
        let expected = case.field(role).as_object().unwrap();
        for (name, values) in expected.iter().filter(|(name, _)| !differs(case, name)) {
            let values: Vec<f64> =
                values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            compare(name, &list(&history.get(name))?, &list(&values)?, 1e-5);
        }
    }
    let mut ours: Vec<&String> = history.history.keys().collect();
    let mut keras_names: Vec<&String> = case.field("history").as_object().unwrap().keys().collect();
    ours.sort();
    keras_names.sort();
    assert_eq!(ours, keras_names, "{}", case.name());
    assert_eq!(Json::from(history.epoch), *case.field("epoch"), "{}", case.name());
    assert_eq!(variables.len(), keras.len(), "{}", case.name());
    Ok(wrong)
}

/// The weights after `fit` with this optimizer, and the loss of each epoch.
fn trained(optimizer: impl Into<Optimizer>) -> (Vec<Tensor>, Vec<f64>) {
    let mut model = Sequential::new().add(Dense::new(5).activation("tanh")).add(Dense::new(2));
    model.compile_with(Compile::new(optimizer, "mse")).unwrap();
    let mut stream = Stream::named(5, "data");
    let mut draw = |count: usize| (0..count).map(|_| stream.normal() as f32).collect::<Vec<f32>>();
    let x = Tensor::from_vec(draw(60), (20, 3), &Device::Cpu).unwrap();
    let y = Tensor::from_vec(draw(40), (20, 2), &Device::Cpu).unwrap();
    let fit = Fit::default().verbose(Verbose::Silent).batch_size(8).epochs(3);
    let history = model.fit_with(&x, &y, fit).unwrap();
    (model.network().unwrap().get_weights().unwrap(), history.get("loss"))
}

/// Multiplication by a power of two is exact, so the scaled run has the same bits.
#[test]
fn fit_multiplies_the_loss_by_the_loss_scale_factor() {
    let (plain, losses) = trained(SGD::new(0.1));
    let (scaled, scaled_losses) = trained(SGD::new(0.1).loss_scale_factor(1024.0));
    assert_eq!(losses, scaled_losses);
    for (plain, scaled) in plain.iter().zip(&scaled) {
        assert_eq!(difference(plain, scaled, 0.0), None);
    }
}

#[test]
fn fit_multiplies_the_loss_by_a_scale_that_changes() {
    let (plain, losses) = trained(SGD::new(0.1));
    let scaling = LossScaleOptimizer::new(SGD::new(0.1)).initial_scale(2.0).dynamic_growth_steps(2);
    let (scaled, scaled_losses) = trained(scaling);
    assert_eq!(losses, scaled_losses);
    for (plain, scaled) in plain.iter().zip(&scaled) {
        assert_eq!(difference(plain, scaled, 0.0), None);
    }
}

#[test]
fn runs_end_as_in_keras() {
    let groups = ["training", "image_training", "optimizer_training"];
    for device in devices() {
        let mut wrong = Vec::new();
        for case in groups.into_iter().flat_map(golden::load) {
            match differences(&case, &device) {
                Ok(differences) => wrong.extend(differences),
                Err(error) => wrong.push(format!("{}: {error}", case.name())),
            }
        }
        assert!(wrong.is_empty(), "on {:?}:\n{}", device.location(), wrong.join("\n"));
    }
}
