//! `sconce predict`

use super::{must_end_in, read_all};
use crate::named_path::{NamedPath, in_order};
use sconce::core::atomic::check_writable;
use sconce::core::{Result, device};
use sconce::data::write_npy;
use sconce::train::Model;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The model, a .keras file
    model: PathBuf,
    /// An input, a .npy file; once for each input of the model, in its order or as NAME=X.npy
    #[arg(long, required = true, value_name = "X.npy")]
    input: Vec<NamedPath>,
    /// Where the model's output goes, a .npy file; once for each output of the model, in its order or as
    /// NAME=OUT.npy
    #[arg(long, required = true, value_name = "OUT.npy")]
    output: Vec<NamedPath>,
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
    for NamedPath { path, .. } in &args.output {
        must_end_in(path, "--output", "npy")?;
        check_writable(path)?;
    }
    // What the model was compiled with does not matter here, so it need not be supported.
    let model = Model::load_without_compile(&args.model, &device)?;
    let batch_size = usize::try_from(args.batch_size).unwrap_or(usize::MAX);
    let graph = model.network()?.graph();
    let is_dict = graph.input_keys().is_some();
    let inputs = in_order(&args.input, &graph.input_names(), is_dict, "input")?;
    let is_dict = graph.output_keys().is_some();
    let names = graph.output_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let paths = in_order(&args.output, &names, is_dict, "output")?;
    let outputs = model.predict_all(&read_all(&inputs)?, batch_size)?;
    for (path, y) in paths.iter().zip(&outputs) {
        write_npy(path, y)?;
        crate::print(&format!("{}: {:?}", path.display(), y.dims()))?;
    }
    Ok(())
}
