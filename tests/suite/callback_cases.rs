//! Every row of the table of callbacks: a row without a case, or without what Keras's does in the same
//! epochs, fails.

use crate::object_cases::{ObjectCase, case, check};
use sconce::prelude::*;
use sconce::train::callbacks::{BackupAndRestore, CallbackPart, Callbacks, SaveFreq};
use sconce_testkit::golden;
use serde_json::{Value as Json, json};
use std::path::Path;

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
        case(
            "ModelCheckpoint",
            json!({"filepath": "@/{epoch:02d}-{batch}.keras", "save_freq": 2, "max_to_keep": 2}),
        ),
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

/// The callback of a case, with its files in a folder.
fn part(case: &ObjectCase, folder: &Path) -> CallbackPart {
    let config = case.config.to_string().replace('@', &folder.display().to_string());
    CallbackPart::new(case.class_name, serde_json::from_str(&config).unwrap()).unwrap()
}

#[test]
fn every_callback_goes_through_a_run_from_json() {
    let x = Tensor::arange(0f32, 6.0, &Device::Cpu).unwrap().reshape((6, 1)).unwrap();
    for case in cases() {
        let folder = tempfile::tempdir().unwrap();
        let part = part(&case, folder.path());
        let mut model = Sequential::new().add(Dense::new(1).input_shape([1]));
        model.compile(SGD::new(0.01).use_ema(0.9), "mse").unwrap();
        let fit = Fit::new(3, 2).verbose(Verbose::Silent).callbacks([part.get().unwrap().start()]);
        let history = model.fit_with(&x, &x, fit).unwrap();
        assert_eq!(history.epoch.len(), 3, "{}", case.class_name);
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files > 0, case.config.to_string().contains('@'), "{}", case.class_name);
    }
}

/// Trains three epochs of three batches, or until the power is lost before a batch of this run.
fn run(fit: Fit, lost: Option<usize>) -> Result<Vec<f32>> {
    let x = Tensor::arange(0f32, 6.0, &Device::Cpu)?.reshape((6, 1))?;
    let mut model = Sequential::new().add(Dense::new(1).input_shape([1]));
    model.compile(SGD::new(0.01).momentum(0.5).use_ema(0.9), "mse")?;
    let mut batches = 0;
    let losing = LambdaCallback::new().on_train_batch_begin(move |_, _| {
        batches += 1;
        match lost.is_some_and(|lost| batches > lost) {
            true => Err(Error::training("lost power")),
            false => Ok(Flow::Continue),
        }
    });
    let fit = fit.epochs(3).batch_size(2).verbose(Verbose::Silent).callback(losing);
    model.fit_with(&x, &x, fit.validation_data(&x, &x))?;
    Ok(model.predict(&x)?.flatten_all()?.to_vec1::<f32>()?)
}

/// The last checkpoint, which holds weights, optimizer variables, history and the states of all callbacks,
/// is the same file byte for byte wherever the run was lost before, and so is what callbacks leave.
#[test]
fn every_callback_goes_on_with_the_state_that_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("run");
    let left = |cases: &[&ObjectCase], lost: Option<usize>| {
        let _ = std::fs::remove_dir_all(&at);
        let fit = || {
            let checkpoint = Checkpoint::new(at.join("c")).every_steps(1).keep(1);
            let parts = cases.iter().map(|case| part(case, &at).get().unwrap().start());
            Fit::default().callbacks(parts).checkpoint(checkpoint).resume(true)
        };
        if lost.is_some() {
            assert!(run(fit(), lost).unwrap_err().to_string().contains("lost power"));
        }
        let end = run(fit(), None).unwrap();
        let mut files = Vec::new();
        for folder in [&at, &at.join("c")] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let is_text = path.extension().is_some_and(|e| e == "csv" || e == "safetensors");
                let bytes = is_text.then(|| std::fs::read(&path).unwrap());
                files.push((path.file_name().unwrap().to_owned(), bytes));
            }
        }
        files.sort();
        (end, files)
    };
    // One asks for checkpoints of its own, the other keeps nothing and would wait for a server.
    let without = ["BackupAndRestore", "RemoteMonitor"];
    let all = cases();
    let cases: Vec<&ObjectCase> =
        all.iter().filter(|case| !without.contains(&case.class_name)).collect();
    for cases in cases.iter().map(|case| vec![*case]).chain([cases.clone()]) {
        let names: Vec<&str> = cases.iter().map(|case| case.class_name).collect();
        let whole = left(&cases, None);
        for lost in 0..9 {
            assert!(left(&cases, Some(lost)) == whole, "{names:?} lost before batch {lost}");
        }
    }
}

#[test]
fn backup_and_restore_goes_on_by_itself_and_leaves_nothing() {
    let whole = run(Fit::default(), None).unwrap();
    for lost in [1, 4, 8] {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("backup");
        let fit = || {
            let backup = BackupAndRestore::new(&at).save_freq(SaveFreq::Batches(2));
            Fit::default().callback(backup)
        };
        run(fit(), Some(lost)).unwrap_err();
        assert_eq!(std::fs::read_dir(&at).map_or(0, Iterator::count), usize::from(lost > 1));
        // Only what was lost is done again.
        assert_eq!(run(fit(), Some(9 - lost / 2 * 2)).unwrap(), whole);
        assert_eq!(std::fs::read_dir(&at).map_or(0, Iterator::count), 0);
    }
    let folder = tempfile::tempdir().unwrap();
    let backup = || BackupAndRestore::new(folder.path().join("backup"));
    for fit in [
        Fit::default().callback(backup()).callback(backup()),
        Fit::default().callback(backup()).checkpoint(Checkpoint::new(folder.path())),
    ] {
        let error = run(fit, None).unwrap_err().to_string();
        assert!(error.contains("a run writes its checkpoints to one folder"), "{error}");
    }
}
