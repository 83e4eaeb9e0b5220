//! Every row of the table of callbacks: a row without a case, or without what Keras's does in the same
//! epochs, fails.

use crate::object_cases::{ObjectCase, case, check};
use sconce::prelude::*;
use sconce::train::callbacks::{CallbackPart, Callbacks};
use sconce_testkit::golden;
use serde_json::{Value as Json, json};

/// `@` stands for a folder.
pub fn cases() -> Vec<ObjectCase> {
    vec![
        case(
            "BackupAndRestore",
            json!({"backup_dir": "@/backup", "save_freq": 2, "double_checkpoint": true, "delete_checkpoint": false}),
        ),
        case("CSVLogger", json!({"filename": "@/log.csv", "separator": ";", "append": true})),
        case(
            "EarlyStopping",
            json!({
                "monitor": "loss", "min_delta": 0.5, "patience": 2, "mode": "max", "baseline": 1.5,
                "restore_best_weights": true, "start_from_epoch": 1,
            }),
        ),
        case("ModelCheckpoint", json!({"filepath": "@/{epoch:02d}.keras", "save_freq": 2})),
        case(
            "ModelCheckpoint",
            json!({
                "filepath": "@/best.weights.h5", "save_best_only": true, "save_weights_only": true,
                "monitor": "loss", "mode": "min", "initial_value_threshold": 100.0,
            }),
        ),
        case(
            "ReduceLROnPlateau",
            json!({
                "monitor": "loss", "factor": 0.5, "patience": 2, "mode": "min", "min_delta": 0.25,
                "cooldown": 1, "min_lr": 0.001,
            }),
        ),
        case(
            "RemoteMonitor",
            json!({
                "root": "http://127.0.0.1:1", "path": "/log", "field": "values",
                "headers": {"X-Run": "7"}, "send_as_json": true,
            }),
        ),
        case("SwapEMAWeights", json!({"swap_on_epoch": true})),
        case(
            "TensorBoard",
            json!({
                "log_dir": "@/logs", "histogram_freq": 1, "write_graph": false,
                "write_steps_per_second": true, "update_freq": 2,
            }),
        ),
        case("TerminateOnNaN", json!({"raise_error": true})),
    ]
}

#[test]
fn every_callback_has_a_case_and_keras_s_runs() {
    check::<Callbacks>(&cases());
    let text = std::fs::read_to_string(golden::path("callbacks.json")).unwrap();
    let golden: Json = serde_json::from_str(&text).unwrap();
    for case in cases() {
        // What these leave is read elsewhere: runs that are killed show what the first is for, the
        // `tensorboard` package reads the second's files, a server takes what the third sends.
        if ["BackupAndRestore", "TensorBoard", "RemoteMonitor"].contains(&case.class_name) {
            continue;
        }
        // Compared in the crate of the training loop.
        let of_class = |run: &&Json| {
            run["name"].as_str().is_some_and(|name| name.starts_with(case.class_name))
        };
        let runs = golden["cases"].as_array().unwrap().iter().filter(of_class).count();
        assert!(runs > 0, "{} has no golden", case.class_name);
    }
}

#[test]
fn every_callback_goes_through_a_run_from_json() {
    let x = Tensor::arange(0f32, 6.0, &Device::Cpu).unwrap().reshape((6, 1)).unwrap();
    for case in cases() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display().to_string();
        let config = serde_json::from_str(&case.config.to_string().replace('@', &at)).unwrap();
        let part = CallbackPart::new(case.class_name, config).unwrap();
        let mut model = Sequential::new().add(Dense::new(1).input_shape([1]));
        model.compile(SGD::new(0.01).use_ema(0.9), "mse").unwrap();
        let fit = Fit::new(3, 2).verbose(Verbose::Silent).callbacks([part.get().unwrap().start()]);
        let history = model.fit_with(&x, &x, fit).unwrap();
        assert_eq!(history.epoch.len(), 3, "{}", case.class_name);
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files > 0, case.config.to_string().contains('@'), "{}", case.class_name);
    }
}
