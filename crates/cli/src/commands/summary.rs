//! `sconce summary`

use sconce::core::{Device, Result};
use sconce::train::run_config::{RunConfig, load_model, read_json};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// A .keras file, or a .json file: a run configuration or a model
    model: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    let path = &args.model;
    let model = match run_config(path)? {
        Some((text, config)) => {
            config.build_model(&Device::Cpu).map_err(|e| e.in_file(path, &text))?
        }
        None => load_model(path, &Device::Cpu, 0)?,
    };
    crate::print(model.summary()?.trim_end())
}

/// The run configuration in a file, if it is one: a model's JSON has a class name.
fn run_config(path: &PathBuf) -> Result<Option<(String, RunConfig)>> {
    if path.extension().is_none_or(|e| e != "json") {
        return Ok(None);
    }
    let (text, value) = read_json(path)?;
    if value.get("class_name").is_some() {
        return Ok(None);
    }
    let config = RunConfig::from_json(&value).map_err(|e| e.in_file(path, &text))?;
    Ok(Some((text, config)))
}
