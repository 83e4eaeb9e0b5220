//! Peers in Python: each script trains a workload in a process of its own and prints its timing.

use crate::workloads::{Timing, Workload};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A peer and its script.
pub struct Peer {
    /// Name in the table.
    pub name: &'static str,
    script: &'static str,
    /// Arguments after workload and epochs.
    arguments: &'static [&'static str],
    /// Whether its script takes a device as one more argument.
    takes_device: bool,
}

/// All of them.
pub const ALL: [Peer; 4] = [
    Peer { name: "PyTorch", script: TORCH, arguments: &[], takes_device: true },
    Peer { name: "Keras (JAX)", script: KERAS, arguments: &["jax"], takes_device: false },
    Peer {
        name: "Keras (TensorFlow)",
        script: KERAS,
        arguments: &["tensorflow"],
        takes_device: false,
    },
    Peer { name: "MLX (compiled)", script: MLX, arguments: &[], takes_device: false },
];

const TORCH: &str = include_str!("../peers/torch_bench.py");
const KERAS: &str = include_str!("../peers/keras_bench.py");
const MLX: &str = include_str!("../peers/mlx_bench.py");

impl Peer {
    /// Whether it can run on a device: on the CPU all of them.
    pub fn runs_on(&self, device: &str) -> bool {
        self.takes_device || device == "cpu"
    }

    /// Runs the script; `None` if the peer is not installed, or failed (its message goes to stderr).
    pub fn run(&self, python: &Path, workload: Workload, device: &str) -> Option<Timing> {
        let mut child = Command::new(python)
            .args(["-", workload.name(), &workload.epochs().to_string()])
            .args(self.arguments)
            .args(self.takes_device.then_some(device))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| eprintln!("{}: {}: {e}", self.name, python.display()))
            .ok()?;
        child.stdin.take()?.write_all(self.script.as_bytes()).ok()?;
        let output = child.wait_with_output().ok()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            eprintln!("{}: {}", self.name, text.lines().last().unwrap_or("failed"));
            return None;
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let value: serde_json::Value = serde_json::from_str(text.lines().last()?).ok()?;
        Some(Timing { best: value["best"].as_f64()?, median: value["median"].as_f64()? })
    }
}
