//! `sconce evaluate`

use super::arrays::{ArrayFile, read};
use super::{inputs, model_file, outputs};
use sconce::core::{Error, Json, Result, Tensor, device};
use sconce::data::{CsvColumns, read_csv};
use sconce::train::run_config::KERAS_ENDINGS;
use sconce::train::{LoadOptions, Model};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// The model, a .keras or .h5 file with its compile state
    model: PathBuf,
    /// An input: a .npy, .npz or .csv file; once for each input of the model, in its order or by
    /// name. A .csv file holds the targets too
    #[arg(long, required = true, value_name = "[NAME=]FILE")]
    x: Vec<ArrayFile>,
    /// Targets: a .npy or .npz file; once for each output of the model that has a loss, in its order
    /// or by name
    #[arg(long, value_name = "[NAME=]FILE")]
    y: Vec<ArrayFile>,
    /// The column of a .csv file that holds the targets; left out, the one the model was trained on
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Rows in a batch
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..))]
    batch_size: u64,
    /// Print {"loss": .., "accuracy": ..}
    #[arg(long)]
    json: bool,
    /// auto, cpu, metal or cuda
    #[arg(long, default_value = "auto")]
    device: String,
}

pub fn run(args: &Args) -> Result<()> {
    let device = device::parse(&args.device)?;
    model_file(&args.model, &KERAS_ENDINGS)?;
    let mut model = Model::load_with(&args.model, LoadOptions::new().device(&device))?;
    if model.compiled().is_err() {
        return Err(Error::file(
            &args.model,
            "holds no compile state, so there is no loss to evaluate; save the model after `compile`, \
             or use `sconce predict`",
        ));
    }
    let (x, y) = arrays(&model, args)?;
    let batch_size = usize::try_from(args.batch_size).unwrap_or(usize::MAX);
    let scores = model.evaluate_with(&x, &y, batch_size, None)?;
    if args.json {
        let object: serde_json::Map<String, Json> =
            scores.0.into_iter().map(|(name, value)| (name, value.into())).collect();
        return crate::print(&Json::Object(object).to_string());
    }
    crate::print(&scores.to_string())
}

/// Inputs and targets.
fn arrays(model: &Model, args: &Args) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    let graph = model.network()?.graph();
    if let ([ArrayFile { path, .. }], []) = (args.x.as_slice(), args.y.as_slice())
        && path.extension().is_some_and(|ending| ending == "csv")
        && let [_] = graph.input_names().as_slice()
    {
        return table(path, model.csv_columns(), args.target.as_deref());
    }
    let wrong = |message: &str| Err(Error::config("", message));
    if args.target.is_some() {
        return wrong("--target names a column of a single --x FILE.csv given without --y");
    }
    if args.y.is_empty() {
        return wrong("--y is missing; only a .csv file given as --x holds the targets too");
    }
    let targets = model.compiled()?.names_of_targets(args.y.len());
    let x = read(&inputs("--x", graph, &graph.input_names()), &args.x, model.csv_columns())?;
    let y = read(&outputs("--y", graph, &targets), &args.y, None)?;
    Ok((x, y))
}

/// The features and the target of a CSV file.
fn table(
    path: &Path,
    known: Option<&CsvColumns>,
    target: Option<&str>,
) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    let columns = match (known, target) {
        (Some(known), None) => known.clone(),
        (Some(known), Some(target)) => CsvColumns { target: target.to_string(), ..known.clone() },
        (None, Some(target)) => CsvColumns::new(target),
        (None, None) => {
            let message = "the model does not say which column of a .csv file holds the targets; add \
                           --target COLUMN";
            return Err(Error::config("", message));
        }
    };
    let data = read_csv(path, &columns)?;
    Ok((vec![data.x], vec![data.y]))
}
