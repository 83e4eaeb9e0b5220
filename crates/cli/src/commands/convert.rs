//! `sconce convert`

use sconce::core::atomic::{check_writable, write_atomic};
use sconce::core::{Device, Error, Result};
use sconce::train::run_config::load_model;
use std::path::{Path, PathBuf};

/// Converts models:
///
/// .keras to .json: the architecture;
/// .keras to .safetensors: the weights, by path ("dense/kernel");
/// .json to .keras: a model with fresh weights (seed 0);
/// .json to .safetensors: such weights alone;
/// .keras to .keras and .json to .json: the same, written anew, all defaults stated.
///
/// A .safetensors file holds weights without an architecture, so nothing can be made of it alone.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A .keras or .json file
    input: PathBuf,
    /// A .keras, .json or .safetensors file
    output: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    let (input, output) = (&args.input, &args.output);
    if extension(input) == "safetensors" {
        return Err(Error::config(
            "",
            format!(
                "{}: a .safetensors file holds weights without an architecture, so it cannot be \
                 converted; load it into a model with `load_weights`",
                input.display()
            ),
        ));
    }
    if !["keras", "json", "safetensors"].contains(&extension(output)) {
        return Err(Error::config(
            "",
            format!("OUT must be a .keras, .json or .safetensors file, got `{}`", output.display()),
        ));
    }
    check_writable(output)?;
    let model = load_model(input, &Device::Cpu, 0)?;
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
