//! Runs that a signal ends.
#![cfg(unix)]

use crate::{config, folder, sconce};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A run that would take hours, with a log that shows how far it is.
fn started(set: &[&str]) -> (tempfile::TempDir, Child) {
    let mut config = config();
    config["fit"]["epochs"] = json!(10_000_000);
    config["output"] = json!({"model": "m.keras", "history": "h.json"});
    config["callbacks"] = json!([{"class_name": "CSVLogger", "config": {"filename": "log.csv"}}]);
    let dir = folder(&config);
    let child = Command::new(env!("CARGO_BIN_EXE_sconce"))
        .current_dir(dir.path())
        .args(["train", "run.json", "--quiet"])
        .args(set)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (dir, child)
}

/// Waits until some epochs are done.
fn some_epochs(dir: &Path) {
    let start = Instant::now();
    while std::fs::read_to_string(dir.join("log.csv")).map_or(0, |t| t.lines().count()) < 5 {
        assert!(start.elapsed() < Duration::from_secs(120), "no epoch in two minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn ended(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

#[test]
fn a_signal_ends_the_run_and_what_it_made_is_kept() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let (dir, child) = started(&[]);
        some_epochs(dir.path());
        send(signal, &child);
        let output = ended(child);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{signal}: {err}");
        let text = std::fs::read_to_string(dir.path().join("h.json")).unwrap();
        let history: Value = serde_json::from_str(&text).unwrap();
        let done = history["epoch"].as_array().unwrap().len();
        assert!(
            done >= 4 && err.contains(&format!("Interrupted after {done} whole epochs")),
            "{err}"
        );
        // The command that it names goes on where this run ended.
        let command = err.lines().find_map(|line| line.trim().strip_prefix("sconce ")).unwrap();
        let last = format!("fit.epochs={}", done + 2);
        let mut args: Vec<&str> = command.split(' ').collect();
        args.extend(["--set", &last]);
        sconce(dir.path(), &args).ok();
        let rest = std::fs::read_to_string(dir.path().join("h.json")).unwrap();
        let rest: Value = serde_json::from_str(&rest).unwrap();
        let all: Vec<usize> = (0..done + 2).collect();
        assert_eq!(rest["epoch"], json!(all));
        let loss = |history: &Value| history["history"]["loss"].as_array().unwrap().clone();
        assert_eq!(loss(&rest)[..done], loss(&history)[..]);
    }
}

/// A step that takes seconds is waited for once, and not a second time.
#[test]
fn a_second_signal_ends_the_process_at_once() {
    let rows =
        "data.train={\"dataset\": \"blobs\", \"rows\": 20000, \"features\": 4, \"classes\": 3}";
    let first = "model.config.layers[1].config.units=2000";
    let second = "model.config.layers[2].config.units=2000";
    let set = ["--set", rows, "--set", first, "--set", second, "--set", "fit.batch_size=20000"];
    let (dir, child) = started(&set);
    std::thread::sleep(Duration::from_secs(3));
    // Two signals at once: the step at hand ends between them only by an unlikely chance.
    let id = child.id();
    let both = format!("kill -INT {id}; kill -TERM {id}");
    assert!(Command::new("sh").args(["-c", &both]).status().unwrap().success());
    let start = Instant::now();
    let status = ended(child).status;
    assert!(start.elapsed() < Duration::from_secs(20), "{status}");
    // Of two that wait, either may be handled first; on a machine so busy that training has not begun,
    // the first one ends the process.
    assert!(matches!(status.code(), Some(130 | 143) | None), "{status}");
    assert!(!dir.path().join("m.keras").exists());
}
