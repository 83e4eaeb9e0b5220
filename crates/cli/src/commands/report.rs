//! `sconce report`

use sconce::core::atomic::write_atomic;
use sconce::core::{Result, device};
use sconce::train::report::SavedRun;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The folder with a run's history and model, or the history itself
    #[arg(value_name = "RUN_DIR")]
    run: PathBuf,
    /// The page to write; default, report.html beside the history
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// auto, cpu, metal or cuda
    #[arg(long, default_value = "auto")]
    device: String,
}

pub fn run(args: &Args) -> Result<()> {
    let device = device::parse(&args.device)?;
    let run = SavedRun::find(&args.run)?;
    let output = args.output.clone().unwrap_or_else(|| run.folder().join("report.html"));
    let page = run.report(&device)?;
    write_atomic(&output, |sink| sink.write_all(page.as_bytes()))?;
    crate::print(&format!("report: {}", output.display()))
}
