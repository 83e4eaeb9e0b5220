//! Side-by-side benchmarks: the same training runs by Sconce, through its public `fit`, and by its
//! peers, in turns in one run.
//!
//!     cargo run --release -p sconce-bench -- [seed] [mlp] [cnn] [resnet] [lstm] [transformer] [--json] [--peers PYTHON]
//!
//! With `--features rust-peers` the peers in Rust, rustyml and burn, always take part, except in `--json`.
//! With `--features cuda`, `--device cuda` times Sconce and PyTorch on the first GPU.

mod models;
mod peers;
#[cfg(feature = "rust-peers")]
mod rust_peers;
mod workloads;

use clap::{Parser, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use workloads::{Timing, Workload};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Times training runs: microseconds a step, best and median epoch.
///
/// Built with `--features rust-peers`, rustyml and burn take part too, except in `--json`.
#[derive(Parser)]
#[command(name = "sconce-bench")]
struct Arguments {
    /// Which workloads; all if none is named.
    #[arg(value_enum)]
    workloads: Vec<Workload>,
    /// Print Sconce's results as a JSON list and nothing else.
    #[arg(long)]
    json: bool,
    /// Run the PyTorch, Keras (JAX, TensorFlow) and MLX scripts with this Python, in turns with ours.
    #[arg(long, value_name = "PYTHON")]
    peers: Option<PathBuf>,
    /// cpu, cuda or metal. On others than the CPU, PyTorch is the only peer.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Turns: each runs Sconce, then every peer; the best of all turns counts.
    #[arg(long, default_value_t = 3)]
    turns: usize,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line {
    workload: String,
    us_per_step_best: f64,
    us_per_step_median: f64,
    steps: usize,
    epochs: usize,
}

fn main() -> ExitCode {
    sconce_bench::run(|| run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> sconce::core::Result<()> {
    let all = Workload::value_variants();
    let chosen = if arguments.workloads.is_empty() { all } else { &arguments.workloads };
    let device = sconce::core::device::parse(&arguments.device)?;
    let mut lines = Vec::new();
    for workload in chosen {
        let mut results: Vec<(String, Option<Timing>)> = vec![("Sconce".to_string(), None)];
        for _ in 0..arguments.turns.max(1) {
            keep(&mut results, "Sconce", Some(workload.run(&device)?));
            if let Some(python) = &arguments.peers {
                for peer in peers::ALL.iter().filter(|peer| peer.runs_on(&arguments.device)) {
                    let timing = peer.run(python, *workload, &arguments.device);
                    keep(&mut results, peer.name, timing);
                }
            }
            #[cfg(feature = "rust-peers")]
            if !arguments.json && device.is_cpu() {
                for peer in rust_peers::ALL {
                    keep(&mut results, peer.name, peer.run(*workload));
                }
            }
        }
        let ours = results.first().and_then(|(_, timing)| *timing).unwrap_or_default();
        lines.push(Line {
            workload: workload.name().to_string(),
            us_per_step_best: ours.best,
            us_per_step_median: ours.median,
            steps: workload.steps(),
            epochs: workload.epochs() * arguments.turns.max(1),
        });
        if !arguments.json {
            print_table(*workload, &results, ours);
        }
    }
    if arguments.json {
        let text = serde_json::to_string_pretty(&lines);
        println!("{}", text.map_err(|e| sconce::core::Error::training(e.to_string()))?);
    }
    Ok(())
}

/// Keeps the better of two timings of the same name.
fn keep(results: &mut Vec<(String, Option<Timing>)>, name: &str, timing: Option<Timing>) {
    let index = match results.iter().position(|(n, _)| n == name) {
        Some(index) => index,
        None => {
            results.push((name.to_string(), None));
            results.len() - 1
        }
    };
    if let (Some(new), Some((_, old))) = (timing, results.get_mut(index)) {
        let best = old.map_or(new.best, |o| o.best.min(new.best));
        let median = old.map_or(new.median, |o| o.median.min(new.median));
        *old = Some(Timing { best, median });
    }
}

fn print_table(workload: Workload, results: &[(String, Option<Timing>)], ours: Timing) {
    println!("{} ({})", workload.name(), workload.describe());
    println!("  {:<22} {:>12} {:>12} {:>10}", "", "best us/step", "median", "ratio");
    for (name, timing) in results {
        match timing {
            Some(t) => {
                let ratio = t.best / ours.best;
                println!("  {name:<22} {:>12.1} {:>12.1} {ratio:>9.2}x", t.best, t.median);
            }
            None => println!("  {name:<22} {:>12}", "not installed"),
        }
    }
}
