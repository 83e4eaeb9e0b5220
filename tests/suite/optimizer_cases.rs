//! Every row of the tables of optimizers and schedules: a row without a case, or without Keras's
//! numbers, fails.

use sconce::core::{Kind, Part};
use sconce::prelude::*;
use sconce::train::optimizers::{Optimizer, Optimizers};
use sconce::train::schedules::Schedules;
use sconce_testkit::golden;
use serde_json::{Value as Json, json};

/// A configuration of an optimizer, and its variables besides the count of iterations and the
/// learning rate, for a kernel `[2, 3]` and its bias.
pub struct OptimizerCase {
    pub class_name: &'static str,
    pub config: Json,
    variables: &'static [&'static str],
}

fn optimizer(
    class_name: &'static str,
    config: Json,
    variables: &'static [&'static str],
) -> OptimizerCase {
    OptimizerCase { class_name, config, variables }
}

pub fn optimizers() -> Vec<OptimizerCase> {
    vec![
        optimizer(
            "Adam",
            json!({"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3, "amsgrad": true}),
            &[
                "adam/dense_kernel_momentum",
                "adam/dense_kernel_velocity",
                "adam/dense_bias_momentum",
                "adam/dense_bias_velocity",
                "adam/dense_kernel_velocity_hat",
                "adam/dense_bias_velocity_hat",
            ],
        ),
        optimizer(
            "AdamW",
            json!({"weight_decay": 0.1, "beta_1": 0.8, "name": "decaying"}),
            &[
                "decaying/dense_kernel_momentum",
                "decaying/dense_kernel_velocity",
                "decaying/dense_bias_momentum",
                "decaying/dense_bias_velocity",
            ],
        ),
        optimizer(
            "RMSprop",
            json!({"rho": 0.8, "momentum": 0.5, "epsilon": 1e-3, "centered": true, "clipnorm": 1.0}),
            &[
                "rm_sprop/dense_kernel_velocity",
                "rm_sprop/dense_bias_velocity",
                "rm_sprop/dense_kernel_momentum",
                "rm_sprop/dense_bias_momentum",
                "rm_sprop/dense_kernel_average_gradient",
                "rm_sprop/dense_bias_average_gradient",
            ],
        ),
        optimizer(
            "SGD",
            json!({"momentum": 0.9, "nesterov": true, "use_ema": true, "gradient_accumulation_steps": 2}),
            &[
                "sgd/dense_kernel_average",
                "sgd/dense_bias_average",
                "sgd/dense_kernel_gradient_accumulator",
                "sgd/dense_bias_gradient_accumulator",
                "sgd/dense_kernel_momentum",
                "sgd/dense_bias_momentum",
            ],
        ),
    ]
}

pub fn schedules() -> Vec<(&'static str, Json)> {
    vec![
        (
            "CosineDecay",
            json!({"initial_learning_rate": 0.1, "decay_steps": 10, "warmup_target": 0.2, "warmup_steps": 2}),
        ),
        (
            "ExponentialDecay",
            json!({"initial_learning_rate": 0.1, "decay_steps": 2.5, "decay_rate": 0.5, "staircase": true}),
        ),
    ]
}

/// Both JSON directions; keys that are given come back as they were, and others are refused.
fn round_trip<K: Kind>(class_name: &str, config: &Json) {
    let document = json!({"class_name": class_name, "config": config});
    let first = Part::<K>::from_json(&document).unwrap().to_json().unwrap();
    let again = Part::<K>::from_json(&first).unwrap().to_json().unwrap();
    assert_eq!(first, again, "{class_name}");
    for (key, value) in config.as_object().unwrap() {
        assert_eq!(&first["config"][key], value, "{class_name}: {key}");
    }
    let mut wrong = document;
    wrong["config"]["unknwon_key"] = json!(1);
    let error = Part::<K>::from_json(&wrong).unwrap_err().to_string();
    assert!(error.starts_with("at `config.unknwon_key`: unknown key"), "{class_name}: {error}");
}

#[test]
fn json_goes_both_ways_and_unknown_keys_are_refused() {
    for case in optimizers() {
        round_trip::<Optimizers>(case.class_name, &case.config);
    }
    for (class_name, config) in schedules() {
        round_trip::<Schedules>(class_name, &config);
    }
}

/// Steps with given gradients, and whole runs of `fit`, both compared on weights and variables.
#[test]
fn every_row_has_a_case_and_keras_s_numbers() {
    let configs = |group: &str, key: &str| -> String {
        golden::load(group).iter().map(|case| case.field(key).to_string()).collect()
    };
    let training = configs("training", "compile_config");
    let (steps, rates) = (configs("optimizers", "config"), configs("schedules", "config"));
    let check = |name: &str, has_case: bool, numbers: &str| {
        assert!(has_case, "{name} has no case");
        let named = format!("\"class_name\":\"{name}\"");
        assert!(numbers.contains(&named), "{name} has no golden numbers");
        assert!(training.contains(&named), "{name} is in no golden training run");
    };
    for entry in Optimizers::entries() {
        let name = entry.class_name;
        check(name, optimizers().iter().any(|case| case.class_name == name), &steps);
    }
    for entry in Schedules::entries() {
        let name = entry.class_name;
        check(name, schedules().iter().any(|case| case.0 == name), &rates);
    }
}

fn model(optimizer: Optimizer) -> Model {
    let x = Input::new([2]);
    let y = Dense::new(3).name("dense").apply(&x).unwrap();
    let mut model = Model::new([&x], [&y]).unwrap();
    model.compile(optimizer, "mse").unwrap();
    model
}

/// Trained, saved and loaded: the same variables, and the next steps have the same bits.
#[test]
fn files_hold_all_variables() {
    let x = sconce::ops::gradient_check::sample("x", &[4, 2]).unwrap();
    let x = x.to_dtype(DType::F32).unwrap();
    let y = Tensor::ones((4, 3), DType::F32, &Device::Cpu).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let weights = |model: &Model| -> Vec<Vec<f32>> {
        let weights = model.network().unwrap().get_weights().unwrap();
        weights.iter().map(|w| w.flatten_all().unwrap().to_vec1().unwrap()).collect()
    };
    for (index, case) in optimizers().into_iter().enumerate() {
        let name = case.class_name;
        let document = json!({"class_name": name, "config": case.config});
        let mut first = model(Optimizer::from_json(&document).unwrap());
        for _ in 0..3 {
            first.train_on_batch(&x, &y).unwrap();
        }
        let path = folder.path().join(format!("{index}.keras"));
        first.save(&path).unwrap();
        let mut second = Model::load(&path).unwrap();
        let paths = |model: &Model| -> Vec<String> {
            let state = model.compiled().unwrap().optimizer_state().unwrap();
            state.variables().unwrap().into_iter().map(|(path, _)| path).collect()
        };
        assert_eq!(paths(&first)[2..], *case.variables, "{name}");
        assert_eq!(paths(&first), paths(&second), "{name}");
        for _ in 0..3 {
            first.train_on_batch(&x, &y).unwrap();
            second.train_on_batch(&x, &y).unwrap();
        }
        assert_eq!(weights(&first), weights(&second), "{name}");
    }
}
