//! Drives the `sconce` command: what it prints, what it writes, how it fails.

// Helpers outside of #[test] functions are tests, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod configs;
mod convert;
mod errors;
mod faults;
mod outputs;
mod report;
mod resume;
mod several;
mod signals;
mod tables;
mod train;

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// What a command left.
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs `sconce` in a folder.
pub fn sconce(folder: &Path, args: &[&str]) -> Ran {
    sconce_with(folder, args, &[])
}

/// As [`sconce`], with environment variables.
pub fn sconce_with(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_sconce"))
        .current_dir(folder)
        .args(args)
        .envs(variables.iter().copied())
        .output()
        .expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("output is text");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

impl Ran {
    /// Standard output of a command that must have succeeded.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self
    }

    /// The one line of a command that must have failed so.
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        assert_eq!(self.out, "", "results only on success");
        self.err
    }
}

/// A small run on generated clusters.
pub fn config() -> Value {
    json!({
        "model": {"class_name": "Sequential", "config": {"layers": [
            {"class_name": "InputLayer", "config": {"batch_shape": [null, 4]}},
            {"class_name": "Dense", "config": {"units": 8, "activation": "relu"}},
            {"class_name": "Dense", "config": {"units": 3, "activation": "softmax"}},
        ]}},
        "compile": {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"]},
        "data": {
            "train": {"dataset": "blobs", "rows": 60, "features": 4, "classes": 3, "split": "train"},
            "validation": {"dataset": "blobs", "rows": 60, "features": 4, "classes": 3, "split": "test"},
        },
        "fit": {"epochs": 2, "batch_size": 16},
    })
}

/// Writes a configuration as `run.json` into a new folder.
pub fn folder(config: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let text = serde_json::to_string_pretty(config).expect("JSON");
    std::fs::write(folder.path().join("run.json"), text).expect("a file");
    folder
}

/// The line (from 1) of `run.json` that holds this text.
pub fn line(folder: &Path, text: &str) -> usize {
    let file = std::fs::read_to_string(folder.join("run.json")).expect("run.json");
    let at = file.find(text).unwrap_or_else(|| panic!("{text} is in {file}"));
    file[..at].matches('\n').count() + 1
}
