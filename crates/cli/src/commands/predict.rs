//! `sconce predict`

use super::arrays::ArrayFile;
use super::{inputs, must_end_in, outputs, read_all};
use sconce::core::atomic::check_writable;
use sconce::core::{Result, device};
use sconce::data::write_npy;
use sconce::train::Model;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The model, a .keras file
    model: PathBuf,
    /// An input, a .npy file; once for each input of the model, in its order or by name
    #[arg(long, required = true, value_name = "[NAME=]X.npy")]
    input: Vec<ArrayFile>,
    /// Where an output goes, a .npy file; once for each output of the model, in its order or by name
    #[arg(long, required = true, value_name = "[NAME=]OUT.npy")]
    output: Vec<ArrayFile>,
    /// Rows in a batch
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..))]
    batch_size: u64,
    /// auto, cpu, metal or cuda
    #[arg(long, default_value = "auto")]
    device: String,
}

pub fn run(args: &Args) -> Result<()> {
    let device = device::parse(&args.device)?;
    must_end_in(&args.model, "MODEL", "keras")?;
    for output in &args.output {
        must_end_in(&output.path, "--output", "npy")?;
        check_writable(&output.path)?;
    }
    // What the model was compiled with does not matter here, so it need not be supported.
    let model = Model::load_without_compile(&args.model, &device)?;
    let batch_size = usize::try_from(args.batch_size).unwrap_or(usize::MAX);
    let graph = model.network()?.graph();
    let names = graph.output_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let input_names = graph.input_names();
    let sources = inputs("--input", graph, &input_names).order(&args.input)?;
    let files = outputs("--output", graph, &names).order(&args.output)?;
    let x = read_all(&sources)?;
    let predictions = model.predict_all(&x, batch_size)?;
    for (file, y) in files.into_iter().zip(&predictions) {
        write_npy(&file.path, y)?;
        crate::print(&format!("{}: {:?}", file.path.display(), y.dims()))?;
    }
    Ok(())
}
