//! `sconce convert`

use sconce::core::atomic::{check_writable, write_atomic};
use sconce::core::{Device, Error, FileSet, Result};
use sconce::train::Model;
use sconce::train::run_config::load_model;
use std::path::{Path, PathBuf};

/// Converts models:
///
/// .keras to .json: the architecture;
/// .keras to .safetensors: the weights, by path ("dense/kernel"), and the architecture beside them;
/// .json to .keras or .safetensors: a model with fresh weights (seed 0);
/// .safetensors (written by sconce) to .keras or .json;
/// .keras to .keras: the same, written anew, with its compile state and optimizer variables.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A .keras, .json or .safetensors file
    input: PathBuf,
    /// A .keras, .json or .safetensors file
    output: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    let (input, output) = (&args.input, &args.output);
    if !["keras", "json", "safetensors"].contains(&extension(output)) {
        return Err(Error::config(
            "",
            format!("OUT must be a .keras, .json or .safetensors file, got `{}`", output.display()),
        ));
    }
    if extension(input) != extension(output) {
        let mut files = FileSet::new();
        files.reads("IN", input);
        files.writes("OUT", output).map_err(|_| {
            Error::config("", format!("OUT is the same file as IN, `{}`", output.display()))
        })?;
    }
    check_writable(output)?;
    let model = match (extension(input), extension(output)) {
        ("keras", "keras") => Model::load(input)?,
        _ => load_model(input, &Device::Cpu, 0)?,
    };
    match extension(output) {
        "keras" => model.save(output)?,
        "safetensors" => model.save_weights(output)?,
        _ => {
            let text = model.to_json()?;
            write_atomic(output, |sink| writeln!(sink, "{text}"))?;
        }
    }
    crate::print(&output.display().to_string())
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}
