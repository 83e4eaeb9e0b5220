//! `train` when all goes well.

use crate::{config, folder, sconce, sconce_with};
use serde_json::{Value, json};

#[test]
fn trains_and_writes_what_it_says() {
    let mut config = config();
    config["output"] = json!({"model": "runs/a/model.keras", "history": "runs/a/history.json"});
    config["callbacks"] = json!([
        {"class_name": "CSVLogger", "config": {"filename": "runs/log.csv"}},
        {"class_name": "ModelCheckpoint", "config": {"filepath": "runs/{epoch:02d}.keras"}},
    ]);
    let dir = folder(&config);
    let ran = sconce(dir.path(), &["train", "run.json"]).ok();
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(
        lines[0].starts_with("validation: loss: ") && lines[0].contains(" - accuracy: "),
        "{lines:?}"
    );
    assert_eq!(lines[1..], ["model: runs/a/model.keras", "history: runs/a/history.json"]);

    assert!(
        ran.err.contains("Model: \"sequential\"") && ran.err.contains("dense_1 (Dense)"),
        "{}",
        ran.err
    );
    let epochs: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("Epoch ")).collect();
    assert_eq!(epochs.len(), 2, "{}", ran.err);
    assert!(
        epochs[1].starts_with("Epoch 2/2 - ") && epochs[1].contains(" - val_accuracy: "),
        "{epochs:?}"
    );
    assert!(!ran.err.contains('\x1b') && !ran.err.contains('\r'), "no control codes in a file");

    let text = std::fs::read_to_string(dir.path().join("runs/a/history.json")).unwrap();
    let history: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(history["epoch"], json!([0, 1]));
    let keys: Vec<&String> = history["history"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["loss", "accuracy", "val_loss", "val_accuracy"]);
    for series in history["history"].as_object().unwrap().values() {
        assert_eq!(series.as_array().unwrap().len(), 2);
    }
    for file in ["runs/log.csv", "runs/01.keras", "runs/02.keras", "runs/a/model.keras"] {
        assert!(dir.path().join(file).exists(), "{file}");
    }
}

#[test]
fn quiet_shows_results_only() {
    let dir = folder(&config());
    let ran = sconce(dir.path(), &["train", "run.json", "--quiet"]).ok();
    assert_eq!(ran.err, "");
    assert!(ran.out.starts_with("validation: loss: "), "{}", ran.out);
}

#[test]
fn the_same_run_gives_the_same_bits() {
    let mut config = config();
    config["output"] = json!({"history": "history.json"});
    let dir = folder(&config);
    let history = |args: &[&str]| {
        sconce(dir.path(), &[&["train", "run.json", "--quiet"], args].concat()).ok();
        std::fs::read_to_string(dir.path().join("history.json")).unwrap()
    };
    let first = history(&[]);
    assert_eq!(first, history(&[]));
    assert_ne!(first, history(&["--set", "fit.seed=1"]));
}

/// Products, updates, norms and losses big enough to be cut into several parts.
#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let config = json!({
        "model": {"class_name": "Sequential", "config": {"layers": [
            {"class_name": "InputLayer", "config": {"batch_shape": [null, 300]}},
            {"class_name": "Dense", "config": {"units": 520, "activation": "gelu"}},
            {"class_name": "Dropout", "config": {"rate": 0.2}},
            {"class_name": "Dense", "config": {"units": 300}},
        ]}},
        "compile": {
            "optimizer": {"class_name": "Adam", "config": {"clipnorm": 0.5, "use_ema": true}},
            "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"],
        },
        "data": {"train":
            {"dataset": "blobs", "rows": 1300, "features": 300, "classes": 300, "split": "train"}},
        "fit": {"epochs": 2, "batch_size": 256, "validation_split": 0.2},
        "output": {"model": "m.keras", "history": "history.json"},
    });
    let dir = folder(&config);
    let run = |variables: &[(&str, &str)]| {
        let ok = |args: &[&str]| sconce_with(dir.path(), args, variables).ok();
        ok(&["train", "run.json", "--quiet"]);
        ok(&["convert", "m.keras", "m.safetensors"]);
        ["m.safetensors", "history.json"].map(|file| std::fs::read(dir.path().join(file)).unwrap())
    };
    let default = run(&[]);
    for threads in ["1", "2", "3", "8"] {
        let same = run(&[("CANDLE_NUM_THREADS", threads), ("RAYON_NUM_THREADS", threads)]);
        assert!(same == default, "{threads} threads train another model");
    }
}

#[test]
fn set_changes_values() {
    let dir = folder(&config());
    let args = [
        "train",
        "run.json",
        "--set",
        "fit.epochs=3",
        "--set",
        "model.config.layers[1].config.units=5",
        "--set",
        "fit.shuffle=batch",
        "--device",
        "cpu",
    ];
    let err = sconce(dir.path(), &args).ok().err;
    assert!(err.contains("Epoch 3/3") && err.contains("(None, 5)"), "{err}");
}

#[test]
fn validation_split_and_class_weight_work() {
    let mut config = config();
    config["data"].as_object_mut().unwrap().remove("validation");
    config["fit"]["validation_split"] = json!(0.25);
    config["fit"]["class_weight"] = json!({"0": 1.0, "2": 3});
    config["output"] = json!({"history": "h.json"});
    // The first epoch of weights that stay, so that only the loss of the training rows differs.
    config["compile"]["optimizer"] = json!({"class_name": "SGD", "config": {"learning_rate": 0.0}});
    let history = |config: &Value| -> Value {
        let dir = folder(config);
        let ran = sconce(dir.path(), &["train", "run.json"]).ok();
        assert!(ran.out.starts_with("validation: loss: "), "{}", ran.out);
        let text = std::fs::read_to_string(dir.path().join("h.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["history"].clone()
    };
    let weighted = history(&config);
    config["fit"]["class_weight"] = json!({"0": 1.0, "1": 1.0});
    let plain = history(&config);
    assert_ne!(weighted["loss"][0], plain["loss"][0]);
    assert_eq!(weighted["val_loss"], plain["val_loss"]);
    assert_eq!(weighted["accuracy"], plain["accuracy"]);
    config["fit"] = json!({});
    let out = sconce(folder(&config).path(), &["train", "run.json"]).ok().out;
    assert!(out.starts_with("training: loss: "), "{out}");
}

#[test]
fn a_missing_from_logits_is_noticed() {
    let mut config = config();
    config["model"]["config"]["layers"][2]["config"] = json!({"units": 3});
    let dir = folder(&config);
    let err = sconce(dir.path(), &["train", "run.json"]).ok().err;
    let notes: Vec<&str> = err.lines().filter(|line| line.starts_with("note: ")).collect();
    assert!(notes.len() == 1 && notes[0].contains("logits"), "{err}");
    assert_eq!(sconce(dir.path(), &["train", "run.json", "--quiet"]).ok().err, "");
}
