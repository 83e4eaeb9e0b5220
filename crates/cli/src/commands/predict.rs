//! `sconce predict`

use super::arrays::{ArrayFile, read};
use super::predictions::{Predictions, STDOUT};
use super::{inputs, model_file, written_outputs};
use sconce::core::atomic::check_writable;
use sconce::core::{Error, FileSet, Json, Result, device};
use sconce::train::{LoadOptions, Model};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The model, a .keras, .h5 or .safetensors file
    model: PathBuf,
    /// An input: a .npy, .npz or .csv file; once for each input of the model, in its order or by
    /// name. One .npz file may hold all inputs by name
    #[arg(long, required = true, value_name = "[NAME=]FILE")]
    input: Vec<ArrayFile>,
    /// Where an output goes: a .npy or .csv file, or - for stdout (the default); once for each output
    /// of the model, in its order or by name
    #[arg(long, value_name = "[NAME=]FILE")]
    output: Vec<ArrayFile>,
    /// Print {"output": [[..], ..]} with every output
    #[arg(long)]
    json: bool,
    /// Rows in a batch
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..))]
    batch_size: u64,
    /// auto, cpu, metal or cuda
    #[arg(long, default_value = "auto")]
    device: String,
}

pub fn run(args: &Args) -> Result<()> {
    let device = device::parse(&args.device)?;
    model_file(&args.model, &["keras", "h5", "hdf5", "safetensors"])?;
    check_files(args)?;
    // What the model was compiled with does not matter here, so it need not be supported.
    let options = LoadOptions::new().device(&device).compile(false);
    let model = Model::load_with(&args.model, options)?;
    let batch_size = usize::try_from(args.batch_size).unwrap_or(usize::MAX);
    let graph = model.network()?.graph();
    let names = graph.output_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let input_names = graph.input_names();
    let slots = inputs("--input", graph, &input_names);
    let x = read(&slots, &args.input, model.csv_columns())?;
    let stdout = [ArrayFile::stdout()];
    let files = match args.output.as_slice() {
        [] if args.json => Vec::new(),
        [] => written_outputs("--output", &names).order(&stdout)?,
        given => written_outputs("--output", &names).order(given)?,
    };
    let made = model.predict_all(&x, batch_size)?;
    let predictions: Vec<Predictions<'_>> = names
        .iter()
        .zip(&made)
        .enumerate()
        .map(|(index, (name, values))| Predictions {
            name,
            values,
            columns: model.csv_columns().filter(|_| names.len() == 1),
            probabilities: graph.outputs_probabilities(index),
        })
        .collect();
    for (file, predictions) in files.into_iter().zip(&predictions) {
        predictions.write(&file.path)?;
    }
    if args.json {
        let object = predictions.iter().map(|p| Ok((p.name.to_string(), p.json()?)));
        let object: serde_json::Map<String, Json> = object.collect::<Result<_>>()?;
        crate::print(&Json::Object(object).to_string())?;
    }
    Ok(())
}

/// Refuses outputs of other kinds, and those that would replace an input or another output.
fn check_files(args: &Args) -> Result<()> {
    let mut files = FileSet::new();
    files.reads("the model", &args.model);
    for input in &args.input {
        files.reads("an input", &input.path);
    }
    let wrong = |message: String| Error::config("", format!("--output: {message}"));
    let mut stdout = usize::from(args.json);
    for ArrayFile { path, .. } in &args.output {
        if path.as_os_str() == STDOUT {
            stdout += 1;
            if stdout > 1 {
                return Err(wrong("only one output can go to stdout; --json prints all".into()));
            }
            continue;
        }
        if !path.extension().is_some_and(|ending| ending == "npy" || ending == "csv") {
            let path = path.display();
            return Err(wrong(format!("must be a .npy or .csv file, or -, got `{path}`")));
        }
        files.writes("another output", path).map_err(|other| {
            wrong(format!("`{}` is also {other}; choose another name", path.display()))
        })?;
        check_writable(path)?;
    }
    Ok(())
}
