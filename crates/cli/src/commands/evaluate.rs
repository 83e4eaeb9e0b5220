//! `sconce evaluate`

use super::arrays::ArrayFile;
use super::{inputs, must_end_in, outputs, read_all};
use sconce::core::{Error, Json, Result, device};
use sconce::train::Model;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The model, a .keras file with its compile state
    model: PathBuf,
    /// An input, a .npy file; once for each input of the model, in its order or by name
    #[arg(long, required = true, value_name = "[NAME=]X.npy")]
    x: Vec<ArrayFile>,
    /// Targets, a .npy file; once for each output of the model that has a loss, in its order or by
    /// name
    #[arg(long, required = true, value_name = "[NAME=]Y.npy")]
    y: Vec<ArrayFile>,
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
    must_end_in(&args.model, "MODEL", "keras")?;
    let mut model = Model::load_on(&args.model, &device)?;
    if model.compiled().is_err() {
        return Err(Error::file(
            &args.model,
            "holds no compile state, so there is no loss to evaluate; save the model after `compile`, \
             or use `sconce predict`",
        ));
    }
    let (x, y) = {
        let graph = model.network()?.graph();
        let targets = model.compiled()?.names_of_targets(args.y.len());
        let x = inputs("--x", graph, &graph.input_names()).order(&args.x)?;
        let y = outputs("--y", graph, &targets).order(&args.y)?;
        (read_all(&x)?, read_all(&y)?)
    };
    let batch_size = usize::try_from(args.batch_size).unwrap_or(usize::MAX);
    let scores = model.evaluate_with(&x, &y, batch_size, None)?;
    if args.json {
        let object: serde_json::Map<String, Json> =
            scores.0.into_iter().map(|(name, value)| (name, value.into())).collect();
        return crate::print(&Json::Object(object).to_string());
    }
    crate::print(&scores.to_string())
}
