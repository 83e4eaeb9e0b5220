//! `sconce summary`

use sconce::core::{Device, Result};
use sconce::saving::{ModelFile, outline};
use sconce::train::run_config::{KERAS_ENDINGS, RunConfig, load_model, read_json};
use sconce::train::{LoadOptions, Model};
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// A .keras, .h5 or .safetensors file, or a .json file: a run configuration or a model
    model: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    let path = &args.model;
    let model = match run_config(path)? {
        Some((text, config)) => {
            config.build_model(&Device::Cpu).map_err(|e| e.in_file(path, &text))?
        }
        None if has_keras_ending(path) => {
            let options = LoadOptions::new().compile(false);
            let written = |text: &str, by: &str| format!("{text} Written by: {by}");
            return match Model::load_with_report(path, options) {
                Ok((model, report)) => {
                    crate::print(&written(&model.summary()?, &report.written_by))
                }
                Err(error) => {
                    if let Ok(file) = ModelFile::read(path) {
                        let layers = written(&outline(&file, 80), &file.written_by());
                        let _ = writeln!(std::io::stderr(), "{layers}");
                    }
                    Err(error)
                }
            };
        }
        None => load_model(path, &Device::Cpu, 0)?,
    };
    crate::print(model.summary()?.trim_end())
}

fn has_keras_ending(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| KERAS_ENDINGS.contains(&e))
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
