//! `sconce predict`

use super::{must_end_in, read_all};
use sconce::core::atomic::check_writable;
use sconce::core::{Error, Result, device};
use sconce::data::write_npy;
use sconce::train::Model;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The model, a .keras file
    model: PathBuf,
    /// An input, a .npy file; once for each input of the model, in its order
    #[arg(long, required = true, value_name = "X.npy")]
    input: Vec<PathBuf>,
    /// Where the model's output goes, a .npy file; once for each output of the model, in its order
    #[arg(long, required = true, value_name = "OUT.npy")]
    output: Vec<PathBuf>,
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
        must_end_in(output, "--output", "npy")?;
        check_writable(output)?;
    }
    // What the model was compiled with does not matter here, so it need not be supported.
    let model = Model::load_without_compile(&args.model, &device)?;
    let batch_size = usize::try_from(args.batch_size).unwrap_or(usize::MAX);
    let names = model.network()?.graph().output_names();
    if names.len() != args.output.len() {
        let message = format!(
            "the model has {} outputs ({}), got {} times --output; give it once for each, in this order",
            names.len(),
            names.join(", "),
            args.output.len()
        );
        return Err(Error::config("", message));
    }
    let outputs = model.predict_all(&read_all(&args.input)?, batch_size)?;
    for (path, y) in args.output.iter().zip(&outputs) {
        write_npy(path, y)?;
        crate::print(&format!("{}: {:?}", path.display(), y.dims()))?;
    }
    Ok(())
}
