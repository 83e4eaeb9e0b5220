//! `sconce predict`

use super::{must_end_in, read_all};
use sconce::core::atomic::check_writable;
use sconce::core::{Result, device};
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
    /// Where the model's output goes, a .npy file
    #[arg(long, value_name = "OUT.npy")]
    output: PathBuf,
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
    must_end_in(&args.output, "--output", "npy")?;
    check_writable(&args.output)?;
    // What the model was compiled with does not matter here, so it need not be supported.
    let model = Model::load_without_compile(&args.model, &device)?;
    let batch_size = usize::try_from(args.batch_size).unwrap_or(usize::MAX);
    let y = model.predict_with(&read_all(&args.input)?, batch_size)?;
    write_npy(&args.output, &y)?;
    crate::print(&format!("{}: {:?}", args.output.display(), y.dims()))
}
