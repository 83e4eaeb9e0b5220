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
    let map = json!({
        "default_optimizer": written::<Optimizers>("sgd"),
        "optimizer_map": {
            "dense/k.*": written::<Optimizers>("adagrad"), "nothing": written::<Optimizers>("lion"),
        },
    });
    let multi = json!({
        "module": "keras.optimizers", "class_name": "OptimizerMap", "config": map, "registered_name": null,
    });
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
        optimizer(
            "Adadelta",
            json!({"learning_rate": 1.0, "rho": 0.8, "epsilon": 1e-3}),
            &[
                "adadelta/dense_kernel_accumulated_grad",
                "adadelta/dense_kernel_accumulated_delta_var",
                "adadelta/dense_bias_accumulated_grad",
                "adadelta/dense_bias_accumulated_delta_var",
            ],
        ),
        optimizer(
            "Adafactor",
            json!({"beta_2_decay": -0.6, "epsilon_1": 1e-6, "epsilon_2": 0.1, "clip_threshold": 0.5, "relative_step": false}),
            &[
                "adafactor/kernel",
                "adafactor/kernel",
                "adafactor/dense_kernel_velocity",
                "bias",
                "bias",
                "adafactor/dense_bias_velocity",
            ],
        ),
        optimizer(
            "Adagrad",
            json!({"initial_accumulator_value": 0.5, "epsilon": 1e-2}),
            &["adagrad/dense_kernel_accumulator", "adagrad/dense_bias_accumulator"],
        ),
        optimizer(
            "Adamax",
            json!({"beta_1": 0.8, "beta_2": 0.7, "epsilon": 1e-3}),
            &[
                "adamax/dense_kernel_momentum",
                "adamax/dense_kernel_norm",
                "adamax/dense_bias_momentum",
                "adamax/dense_bias_norm",
            ],
        ),
        optimizer(
            "Ftrl",
            json!({"learning_rate": 0.2, "learning_rate_power": -0.7, "initial_accumulator_value": 0.3, "l1_regularization_strength": 0.05, "l2_regularization_strength": 0.1, "l2_shrinkage_regularization_strength": 0.2, "beta": 0.5}),
            &[
                "ftrl/dense_kernel_accumulator",
                "ftrl/dense_kernel_linear",
                "ftrl/dense_bias_accumulator",
                "ftrl/dense_bias_linear",
            ],
        ),
        optimizer(
            "Lamb",
            json!({"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}),
            &[
                "lamb/dense_kernel_momentum",
                "lamb/dense_kernel_velocity",
                "lamb/dense_bias_momentum",
                "lamb/dense_bias_velocity",
            ],
        ),
        optimizer(
            "Lion",
            json!({"beta_1": 0.6, "beta_2": 0.8}),
            &["lion/dense_kernel_momentum", "lion/dense_bias_momentum"],
        ),
        optimizer(
            "Muon",
            json!({"adam_beta_1": 0.8, "adam_beta_2": 0.95, "epsilon": 1e-3, "exclude_layers": ["nothing", "out.*"], "muon_a": 3.0, "muon_b": -4.0, "muon_c": 2.0, "adam_lr_ratio": 0.5, "momentum": 0.8, "ns_steps": 3, "nesterov": false, "exclude_embeddings": false, "adam_weight_decay": null, "rms_rate": null}),
            &["muon/dense_kernel_momentum", "muon/dense_bias_momentum", "muon/dense_bias_velocity"],
        ),
        optimizer(
            "Nadam",
            json!({"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}),
            &[
                "nadam/dense_kernel_momentum",
                "nadam/dense_kernel_velocity",
                "nadam/dense_bias_momentum",
                "nadam/dense_bias_velocity",
                "variable",
            ],
        ),
        optimizer(
            "ScheduleFreeAdamW",
            json!({"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3, "warmup_steps": 5}),
            &[
                "schedule_free_adam_w/dense_kernel_momentum",
                "schedule_free_adam_w/dense_kernel_velocity",
                "schedule_free_adam_w/dense_bias_momentum",
                "schedule_free_adam_w/dense_bias_velocity",
            ],
        ),
        optimizer(
            "LossScaleOptimizer",
            json!({"inner_optimizer": written::<Optimizers>("sgd"), "initial_scale": 8.0, "dynamic_growth_steps": 2}),
            &[
                "loss_scale_optimizer/step_counter",
                "loss_scale_optimizer/dynamic_scale",
                "sgd/iteration",
                "sgd/learning_rate",
            ],
        ),
        optimizer(
            "MultiOptimizer",
            json!({"optimizer_map": multi, "loss_scale_factor": 2.0}),
            &[
                "adagrad/iteration",
                "adagrad/learning_rate",
                "adagrad/dense_kernel_accumulator",
                "lion/iteration",
                "lion/learning_rate",
                "sgd/iteration",
                "sgd/learning_rate",
            ],
        ),
    ]
}

/// Keras's JSON of a part with all defaults.
fn written<K: Kind>(name: &str) -> Json {
    Part::<K>::from(name).to_json().unwrap()
}

pub fn schedules() -> Vec<(&'static str, Json)> {
    vec![
        (
            "CosineDecay",
            json!({"initial_learning_rate": 0.1, "decay_steps": 10, "warmup_target": 0.2, "warmup_steps": 2}),
        ),
        (
            "CosineDecayRestarts",
            json!({"initial_learning_rate": 0.1, "first_decay_steps": 4, "t_mul": 1.5, "m_mul": 0.5, "alpha": 0.1}),
        ),
        (
            "ExponentialDecay",
            json!({"initial_learning_rate": 0.1, "decay_steps": 2.5, "decay_rate": 0.5, "staircase": true}),
        ),
        (
            "InverseTimeDecay",
            json!({"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5, "staircase": true}),
        ),
        ("PiecewiseConstantDecay", json!({"boundaries": [2, 5.5], "values": [0.1, 0.01, 0.001]})),
        (
            "PolynomialDecay",
            json!({"initial_learning_rate": 0.1, "decay_steps": 2, "end_learning_rate": 0.01, "power": 2.0, "cycle": true}),
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
    let training =
        configs("training", "compile_config") + &configs("optimizer_training", "compile_config");
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

fn data() -> (Tensor, Tensor) {
    let x = sconce::ops::gradient_check::sample("x", &[4, 2]).unwrap();
    let y = Tensor::ones((4, 3), DType::F32, &Device::Cpu).unwrap();
    (x.to_dtype(DType::F32).unwrap(), y)
}

/// Trained, saved and loaded: the same variables, and the next steps have the same bits.
#[test]
fn files_hold_all_variables() {
    let (x, y) = data();
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

/// Keras loads the optimizer and its variables from a file of ours, trains on and saves; the file of Keras's
/// goes on here.
#[test]
fn keras_opens_every_optimizer() {
    let Some(python) = sconce_testkit::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let (x, y) = data();
    sconce::data::write_npy(place("x.npy"), &x).unwrap();
    sconce::data::write_npy(place("y.npy"), &y).unwrap();
    let mut command = std::process::Command::new(python);
    command.arg(golden::path("check_with_keras.py"));
    for case in optimizers() {
        let document = json!({"class_name": case.class_name, "config": case.config});
        let mut model = model(Optimizer::from_json(&document).unwrap());
        for _ in 0..3 {
            model.train_on_batch(&x, &y).unwrap();
        }
        let path = place(&format!("{}.keras", case.class_name));
        model.save(&path).unwrap();
        command.arg(path);
    }
    let saved = place("saved");
    std::fs::create_dir(&saved).unwrap();
    command.arg("--x").arg(place("x.npy")).arg("--train").arg(place("y.npy"));
    command.arg("--save").arg(&saved);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for case in optimizers() {
        let name = case.class_name;
        let mut model = Model::load(saved.join(format!("{name}.keras"))).unwrap();
        let state = model.compiled().unwrap().optimizer_state().unwrap();
        assert_eq!(state.iterations, 4, "{name}");
        let paths: Vec<String> =
            state.variables().unwrap().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths[2..], *case.variables, "{name}");
        model.train_on_batch(&x, &y).unwrap();
    }
}
