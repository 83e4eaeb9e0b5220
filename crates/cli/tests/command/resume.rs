//! Runs that are killed and go on.
//!
//! `SCONCE_KILLS=500 cargo test -p sconce-cli --test command resume` kills as often as that.
#![cfg(unix)]

use crate::{folder, sconce, sconce_with};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Dropout, batch statistics, momentum, a schedule, averaged weights, early stopping, shuffled data, logs;
/// checkpoints so often that many kills fall into the writing of one.
fn config() -> Value {
    json!({
        "model": {"class_name": "Sequential", "config": {"layers": [
            {"class_name": "InputLayer", "config": {"batch_shape": [null, 6]}},
            {"class_name": "Dense", "config": {"units": 24, "activation": "relu"}},
            {"class_name": "BatchNormalization", "config": {}},
            {"class_name": "Dropout", "config": {"rate": 0.4}},
            {"class_name": "Dense", "config": {"units": 4, "activation": "softmax"}},
        ]}},
        "compile": {
            "optimizer": {"class_name": "SGD", "config": {
                "momentum": 0.9, "use_ema": true, "ema_momentum": 0.9,
                "learning_rate": {"class_name": "CosineDecay", "config": {
                    "initial_learning_rate": 0.05, "decay_steps": 2000,
                }},
            }},
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
        },
        "data": {"train": {"dataset": "blobs", "rows": 400, "features": 6, "classes": 4}},
        "fit": {"epochs": 60, "batch_size": 16, "validation_split": 0.2, "seed": 5},
        "callbacks": [
            {"class_name": "EarlyStopping", "config": {
                "monitor": "val_loss", "patience": 50, "restore_best_weights": true,
            }},
            {"class_name": "CSVLogger", "config": {"filename": "log.csv"}},
        ],
        "output": {"model": "m.keras", "history": "h.json"},
        "checkpoint": {"directory": "checkpoints", "every_steps": 7},
    })
}

/// Everything that a run leaves.
fn left(folder: &Path) -> Vec<Vec<u8>> {
    let weights = ["convert", "m.keras", "m.safetensors"];
    sconce(folder, &weights).ok();
    let read = |file: &&str| std::fs::read(folder.join(file)).unwrap();
    ["m.safetensors", "h.json", "log.csv"].iter().map(read).collect()
}

/// Numbers that differ from run to run of the test, so that time finds what one choice would not.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}

#[test]
fn runs_that_are_killed_end_with_the_same_bits() {
    let wanted: usize = std::env::var("SCONCE_KILLS").map_or(24, |kills| kills.parse().unwrap());
    let whole = folder(&config());
    let start = Instant::now();
    sconce(whole.path(), &["train", "run.json", "--quiet"]).ok();
    let took = start.elapsed();
    let expected = left(whole.path());
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let mut chance = Chance(seed | 1);
    let (mut kills, mut in_saves) = (0, 0);
    while kills < wanted {
        let dir = folder(&config());
        let mut tries = 0;
        loop {
            tries += 1;
            let mut child = Command::new(env!("CARGO_BIN_EXE_sconce"))
                .current_dir(dir.path())
                .args(["train", "run.json", "--quiet", "--resume"])
                .env("CANDLE_NUM_THREADS", (tries % 3 + 1).to_string())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // After so many tries it may end.
            let wait = if tries > wanted { 600_000 } else { chance.below(took.as_millis() as u64) };
            let end = Instant::now() + Duration::from_millis(wait);
            let status = loop {
                if let Some(status) = child.try_wait().unwrap() {
                    break Some(status);
                }
                if Instant::now() >= end {
                    break None;
                }
                std::thread::sleep(Duration::from_millis(1));
            };
            let Some(status) = status else {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
                in_saves += usize::from(half_written(dir.path()));
                continue;
            };
            let output = child.wait_with_output().unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            assert!(status.success(), "seed {seed}: {err}");
            break;
        }
        assert!(left(dir.path()) == expected, "another end; seed {seed}");
    }
    println!("{kills} kills, {in_saves} of them while a checkpoint was written; seed {seed}");
}

/// Whether a killed process left a checkpoint half written.
fn half_written(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder.join("checkpoints")).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.path().extension().is_some_and(|end| end == "tmp"))
}

#[test]
fn a_run_that_is_finished_is_told_from_one_that_is_not() {
    let mut config = config();
    config["fit"]["epochs"] = json!(2);
    config["checkpoint"] = json!({"directory": "checkpoints"});
    let dir = folder(&config);
    // With nothing to go on from it starts.
    sconce(dir.path(), &["train", "run.json", "--quiet", "--resume"]).ok();
    let first = left(dir.path());
    // At its end there is nothing left to do, and the same is written.
    sconce(dir.path(), &["train", "run.json", "--quiet", "--resume"]).ok();
    assert!(left(dir.path()) == first);
    // More epochs go on; other conditions are refused.
    let more = ["train", "run.json", "--quiet", "--resume", "--set", "fit.epochs=3"];
    sconce(dir.path(), &more).ok();
    let rate = "compile.optimizer.config.momentum=0.5";
    let ran = sconce(dir.path(), &["train", "run.json", "--quiet", "--resume", "--set", rate]);
    let error = ran.fails(2);
    assert!(
        error.contains("`compile.optimizer.config.momentum` is 0.5, in the checkpoint 0.9"),
        "{error}"
    );
}

#[test]
fn checkpoints_stand_beside_the_model_unless_they_are_off() {
    let mut config = config();
    config["fit"]["epochs"] = json!(1);
    config.as_object_mut().unwrap().remove("checkpoint");
    let dir = folder(&config);
    sconce(dir.path(), &["train", "run.json", "--quiet"]).ok();
    assert!(dir.path().join("m-checkpoints/step-000000020.safetensors").exists());
    let dir = folder(&config);
    sconce(dir.path(), &["train", "run.json", "--quiet", "--set", "checkpoint=false"]).ok();
    assert!(!dir.path().join("m-checkpoints").exists());
    let resume = ["train", "run.json", "--quiet", "--set", "checkpoint=false", "--resume"];
    let error = sconce(dir.path(), &resume).fails(2);
    assert!(error.contains("`checkpoint` is false"), "{error}");
}

/// The history says what it takes to repeat the run.
#[test]
fn the_history_holds_what_the_run_depends_on() {
    let mut config = config();
    config["fit"]["epochs"] = json!(1);
    let dir = folder(&config);
    let run = |set: &[&str], threads: &str| -> Value {
        let mut args = vec!["train", "run.json", "--quiet"];
        args.extend(set);
        sconce_with(dir.path(), &args, &[("CANDLE_NUM_THREADS", threads)]).ok();
        let text = std::fs::read_to_string(dir.path().join("h.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["run"].clone()
    };
    let first = run(&[], "1");
    assert_eq!((&first["seed"], &first["device"]), (&json!(5), &json!("cpu")));
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(first, run(&[], "2"));
    let other = run(&["--set", "compile.optimizer.config.momentum=0.5"], "1");
    assert!(first["config"] != other["config"] && first["data"] == other["data"], "{other}");
    let other = run(&["--set", "data.train.rows=300"], "1");
    assert!(first["config"] == other["config"] && first["data"] != other["data"], "{other}");
}

#[test]
fn events_are_lines_of_json() {
    let mut config = config();
    config["fit"]["epochs"] = json!(2);
    let dir = folder(&config);
    let args = ["train", "run.json", "--quiet", "--events", "logs/events.jsonl"];
    sconce(dir.path(), &args).ok();
    let read = || -> Vec<Value> {
        let text = std::fs::read_to_string(dir.path().join("logs/events.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let events = read();
    assert_eq!(events[0], json!({"event": "train_begin", "epochs": 2, "steps": 20}));
    assert_eq!(events[1], json!({"event": "epoch_begin", "epoch": 0}));
    assert_eq!(events[2], json!({"event": "batch_begin", "epoch": 0, "batch": 0}));
    let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!((count("batch_end"), count("test_end"), count("epoch_end")), (40, 2, 2));
    let ended = events.iter().find(|event| event["event"] == "epoch_end").unwrap();
    assert!(ended["logs"]["val_accuracy"].is_f64(), "{ended}");
    let last = json!({"event": "train_end", "end": "finished", "reason": null});
    assert_eq!(*events.last().unwrap(), last);
    // A run that goes on adds to the file.
    sconce(dir.path(), &[&args[..], &["--resume", "--set", "fit.epochs=3"]].concat()).ok();
    assert_eq!(read().len(), events.len() + 46);
}

#[test]
fn determinism_can_be_verified() {
    let dir = folder(&config());
    let ran = sconce(dir.path(), &["train", "run.json", "--verify-determinism"]).ok();
    assert_eq!(
        ran.out.trim(),
        "deterministic: 20 steps with 1 thread and with 3 threads give the same weights, bit for bit"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "it leaves nothing");
}

/// Over 20,000 steps with checkpoints, logs and validation the process grows no more.
#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_over_20_000_steps() {
    let mut config = config();
    // 80 rows to train on: 40 steps an epoch.
    config["data"]["train"]["rows"] = json!(100);
    config["fit"] = json!({"epochs": 500, "batch_size": 2, "validation_split": 0.2});
    config["callbacks"][0]["config"]["patience"] = json!(1000);
    config["checkpoint"]["every_steps"] = json!(250);
    let dir = folder(&config);
    let mut child = Command::new(env!("CARGO_BIN_EXE_sconce"))
        .current_dir(dir.path())
        .args(["train", "run.json", "--quiet"])
        // The command keeps freed memory for as long as this run takes.
        .env("MIMALLOC_PURGE_DELAY", "100")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Resident pages of 4 KiB, with the epoch at that time.
    let mut seen: Vec<(usize, u64)> = Vec::new();
    while child.try_wait().unwrap().is_none() {
        let log = std::fs::read_to_string(dir.path().join("log.csv")).unwrap_or_default();
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", child.id()));
        let resident = statm.unwrap_or_default().split(' ').nth(1).and_then(|n| n.parse().ok());
        seen.extend(resident.filter(|pages| *pages > 0).map(|pages| (log.lines().count(), pages)));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    let most = |from: usize, to: usize| {
        let pages = seen.iter().filter(|(epoch, _)| (from..to).contains(epoch));
        pages.map(|(_, pages)| *pages).max().unwrap()
    };
    let (early, late) = (most(50, 200), most(350, 520));
    assert!(late <= early + 512, "{early} pages after some epochs, {late} at the end");
}
