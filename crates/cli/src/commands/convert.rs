//! `sconce convert`

use super::arrays::{ArrayFile, read};
use super::inputs;
use sconce::core::atomic::{check_writable, write_atomic};
use sconce::core::{DType, Device, Error, FileSet, Result, Tensor};
use sconce::train::run_config::{KERAS_ENDINGS, load_model};
use sconce::train::{LoadOptions, LoadReport, Model, WeightOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Converts models:
///
/// .keras to .json: the architecture;
/// .keras to .safetensors: the weights, by path ("dense/kernel"), and the architecture beside them;
/// .keras to .weights.h5: the weights, for `load_weights` of Keras 3;
/// .json to any of them: a model with fresh weights (seed 0), or those of --weights;
/// .safetensors (written by sconce) to any of them;
/// .keras to .keras: the same, written anew, with its compile state and optimizer variables.
///
/// In the place of a .keras file stands any file of a whole model that Keras 1, 2 or 3 wrote, so that
/// `sconce convert old.h5 new.keras` makes a file for today's Keras. What was read as something else, and what
/// could not be carried over, is printed to stderr.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A .keras, .h5, .json or .safetensors file
    input: PathBuf,
    /// A .keras, .weights.h5, .json or .safetensors file
    output: PathBuf,
    /// Weights for a model of a .json file: .h5, .weights.h5 or .safetensors
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Give weights to layers of the same name only, instead of to all in their order
    #[arg(long, requires = "weights")]
    by_name: bool,
    /// Let layers whose weights do not fit keep their fresh ones
    #[arg(long, requires = "weights")]
    skip_mismatch: bool,
    /// Print statistics of the outputs of IN and OUT for an input: a .npy, .npz or .csv file; once for
    /// each input of the model
    #[arg(long, value_name = "[NAME=]FILE")]
    check: Vec<ArrayFile>,
}

const OUTPUTS: &str = "a .keras, .weights.h5, .json or .safetensors file";

pub fn run(args: &Args) -> Result<()> {
    let output = &args.output;
    let kind = Kind::of(output).ok_or_else(|| {
        Error::config("", format!("OUT must be {OUTPUTS}, got `{}`", output.display()))
    })?;
    check_files(args)?;
    check_writable(output)?;
    let (model, report) = load(args)?;
    match kind {
        Kind::Keras => model.save(output)?,
        Kind::Weights => model.save_weights(output)?,
        Kind::Json => {
            let text = model.to_json()?;
            write_atomic(output, |sink| writeln!(sink, "{text}"))?;
        }
    }
    for (kind, lines) in [("note", &report.changes), ("warning", &report.left_out)] {
        for line in lines {
            let _ = writeln!(std::io::stderr(), "{kind}: {line}");
        }
    }
    crate::print(&output.display().to_string())?;
    if !args.check.is_empty() {
        check(args, &model)?;
    }
    Ok(())
}

/// What is written.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Keras,
    Weights,
    Json,
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        match extension(path) {
            "keras" => Some(Self::Keras),
            "safetensors" => Some(Self::Weights),
            "h5" if name.ends_with(".weights.h5") => Some(Self::Weights),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Refuses an output in the place of something that is read; a .keras file may be written anew.
fn check_files(args: &Args) -> Result<()> {
    let mut files = FileSet::new();
    if extension(&args.input) != extension(&args.output) {
        files.reads("IN", &args.input);
    }
    if let Some(weights) = &args.weights {
        files.reads("the file of --weights", weights);
    }
    for input in &args.check {
        files.reads("the file of --check", &input.path);
    }
    files.writes("OUT", &args.output).map_err(|other| {
        Error::config("", format!("OUT is the same file as {other}, `{}`", args.output.display()))
    })
}

fn load(args: &Args) -> Result<(Model, LoadReport)> {
    let input = &args.input;
    let Some(weights) = &args.weights else {
        if !KERAS_ENDINGS.contains(&extension(input)) {
            return Ok((load_model(input, &Device::Cpu, 0)?, LoadReport::default()));
        }
        return match Kind::of(&args.output) {
            Some(Kind::Keras) => load_with_compile_state(input),
            _ => Model::load_with_report(input, LoadOptions::new().compile(false)),
        };
    };
    if extension(input) != "json" {
        let message =
            format!("--weights goes with a model in a .json file, got `{}`", input.display());
        return Err(Error::config("", message));
    }
    let mut model = load_model(input, &Device::Cpu, 0)?;
    let options = WeightOptions { by_name: args.by_name, skip_mismatch: args.skip_mismatch };
    let left_out = model.load_weights_with(weights, options)?;
    Ok((model, LoadReport { left_out, ..LoadReport::default() }))
}

/// With the compile state, or without one that cannot be used: the model predicts all the same.
fn load_with_compile_state(input: &Path) -> Result<(Model, LoadReport)> {
    Model::load_with_report(input, LoadOptions::new()).or_else(|error| {
        let without = Model::load_with_report(input, LoadOptions::new().compile(false));
        let Ok((model, mut report)) = without else { return Err(error) };
        report.left_out.push(format!("how the model was compiled is left out: {error}"));
        Ok((model, report))
    })
}

/// Statistics of each output of the model and of the file that was made of it.
fn check(args: &Args, model: &Model) -> Result<()> {
    let graph = model.network()?.graph();
    let names = graph.input_names();
    let x = read(&inputs("--check", graph, &names), &args.check, model.csv_columns())?;
    let ours = model.predict_all(&x, BATCH_SIZE)?;
    let written = match Kind::of(&args.output) {
        // An architecture alone predicts nothing.
        Some(Kind::Json) | None => None,
        Some(Kind::Keras) => Some(load_model(&args.output, &Device::Cpu, 0)?),
        Some(Kind::Weights) => {
            let mut copy = Model::from_json(&model.to_json()?)?;
            copy.load_weights(&args.output)?;
            Some(copy)
        }
    };
    let theirs = written.map(|model| model.predict_all(&x, BATCH_SIZE)).transpose()?;
    for (index, name) in graph.output_names().iter().enumerate() {
        for (file, outputs) in [("IN", Some(&ours)), ("OUT", theirs.as_ref())] {
            if let Some(values) = outputs.and_then(|outputs| outputs.get(index)) {
                crate::print(&format!("{file} {name}: {}", statistics(values)?))?;
            }
        }
    }
    Ok(())
}

const BATCH_SIZE: usize = 32;

fn statistics(values: &Tensor) -> Result<String> {
    let flat = values.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    let count = flat.len().max(1) as f64;
    let mean = flat.iter().sum::<f64>() / count;
    let deviation = (flat.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    let min = flat.iter().copied().fold(f64::INFINITY, f64::min);
    let max = flat.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Ok(format!(
        "shape {:?}, mean {mean:.6}, standard deviation {deviation:.6}, min {min:.6}, max {max:.6}",
        values.dims()
    ))
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}
