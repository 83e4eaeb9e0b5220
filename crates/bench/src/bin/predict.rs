//! How long a model of a Keras file takes to predict: milliseconds a batch, best and median.
//!
//!     cargo run --release -p sconce-bench --bin predict -- model.keras [--peers PYTHON]
//!
//! The peers are Keras on TensorFlow and on PyTorch, and ONNX Runtime with the model as Keras exports it, in
//! turns with Sconce. `PYTHON crates/bench/peers/predict_bench.py model.keras make` makes a MobileNetV2.

use clap::Parser;
use sconce::prelude::*;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Predictions a turn, after one that does not count.
const RUNS: usize = 5;

/// Times predictions of a model that takes images.
#[derive(Parser)]
struct Arguments {
    /// The model.
    model: PathBuf,
    /// Rows of a batch.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 32])]
    batches: Vec<usize>,
    /// Run the peers with this Python.
    #[arg(long, value_name = "PYTHON")]
    peers: Option<PathBuf>,
    /// Turns: each runs Sconce, then every peer; the best of all turns counts.
    #[arg(long, default_value_t = 2)]
    turns: usize,
}

fn main() -> ExitCode {
    sconce_bench::run(|| run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let model = Model::load(&arguments.model)?;
    for batch in &arguments.batches {
        let mut best = vec![("Sconce", Some(f64::INFINITY))];
        if arguments.peers.is_some() {
            best.extend(["tensorflow", "torch", "onnx"].map(|peer| (peer, Some(f64::INFINITY))));
        }
        for _ in 0..arguments.turns.max(1) {
            for (name, best) in &mut best {
                let time = match (&arguments.peers, *name) {
                    (Some(python), peer) if peer != "Sconce" => {
                        ask(python, &arguments.model, peer, *batch)
                    }
                    _ => Some(ours(&model, *batch)?),
                };
                *best = best.and_then(|best| Some(best.min(time?)));
            }
        }
        for (name, best) in best {
            let text = best.map_or("failed".to_string(), |best| format!("{best:.2} ms"));
            let _ = writeln!(std::io::stdout(), "batch {batch:>3}  {name:<12} {text}");
        }
    }
    Ok(())
}

/// Milliseconds of the best prediction.
fn ours(model: &Model, batch: usize) -> Result<f64> {
    let inputs = model.inputs()?;
    let dims = inputs.first().and_then(|input| input.dims().sample().iter().copied().collect());
    let sizes: Vec<usize> = dims.ok_or_else(|| Error::data("the input has an unknown axis"))?;
    let x = Tensor::rand(0f32, 1f32, [&[batch], &sizes[..]].concat(), &Device::Cpu)?;
    model.predict_on_batch(&x)?;
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        model.predict_on_batch(&x)?;
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(best)
}

/// The same of a peer; `None` if it is not installed, or failed (its message goes to stderr).
fn ask(python: &Path, model: &Path, peer: &str, batch: usize) -> Option<f64> {
    let output = Command::new(python)
        .args(["-c", include_str!("../../peers/predict_bench.py")])
        .arg(model)
        .args([peer, &batch.to_string(), &RUNS.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let time = text.lines().last().and_then(|line| line.parse().ok());
    if time.is_none() {
        let error = String::from_utf8_lossy(&output.stderr);
        eprintln!("{peer}: {}", error.lines().last().unwrap_or("failed"));
    }
    time
}
