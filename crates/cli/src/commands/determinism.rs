//! `sconce train --verify-determinism`: whether a run gives the same bits with another number of
//! threads. The number is fixed when a process starts, so each of the two runs is a process.

use super::train::Args;
use sconce::core::{Device, Error, Fingerprint, Result};
use sconce::train::run_config::{CheckpointSetting, OutputSection, RunConfig};
use std::process::{Command, ExitCode};

const STEPS: usize = 20;
const THREADS: [&str; 2] = ["1", "3"];

/// Trains a few steps twice and compares.
pub fn verify(args: &Args) -> Result<ExitCode> {
    let [first, second] = THREADS;
    let same = weights(args, first)? == weights(args, second)?;
    let numbers = format!("{STEPS} steps with {first} thread and with {second} threads");
    if same {
        crate::print(&format!("deterministic: {numbers} give the same weights, bit for bit"))?;
        return Ok(ExitCode::SUCCESS);
    }
    Err(Error::training(format!(
        "not deterministic: {numbers} give different weights. Layers, losses or steps of your own that \
         split work by the number of threads are the usual cause"
    )))
}

/// What [`fingerprint`] prints in a process with so many threads.
fn weights(args: &Args, threads: &str) -> Result<String> {
    let failed = |what: String| Error::training(format!("the run to compare failed: {what}"));
    let program = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
    let mut command = Command::new(program);
    command.arg("train").arg(&args.config).args(["--quiet", "--device", &args.device]);
    for set in &args.set {
        command.arg("--set").arg(set.to_string());
    }
    command.arg("--fingerprint-after").arg(STEPS.to_string());
    command.env("CANDLE_NUM_THREADS", threads).env("RAYON_NUM_THREADS", threads);
    let output = command.output().map_err(|e| failed(e.to_string()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(failed(text(&output.stderr))),
    }
}

/// Trains so many steps of a run that leaves nothing, and prints the fingerprint of the weights.
pub fn fingerprint(config: RunConfig, steps: usize, device: &Device) -> Result<ExitCode> {
    let mut config = RunConfig {
        callbacks: Vec::new(),
        output: OutputSection::default(),
        checkpoint: CheckpointSetting::Off,
        ..config
    };
    config.fit.epochs = config.fit.initial_epoch + 1;
    config.fit.steps_per_epoch = Some(config.fit.steps_per_epoch.map_or(steps, |s| s.min(steps)));
    let mut run = config.prepare(device)?;
    run.train_quietly()?;
    let mut sum = Fingerprint::new();
    for weight in run.model.store()?.parameters() {
        let mut bytes = Vec::new();
        weight.var.as_tensor().flatten_all()?.write_bytes(&mut bytes)?;
        sum.add(&weight.path);
        sum.add(bytes);
    }
    crate::print(&sum.finish())?;
    Ok(ExitCode::SUCCESS)
}
