//! `sconce compare`

use sconce::core::atomic::write_atomic;
use sconce::core::{Error, Result};
use sconce::train::report::{Comparison, SavedRun};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Two or more folders with a run's history, or histories themselves
    #[arg(value_name = "RUN_DIR", num_args = 2.., required = true)]
    runs: Vec<PathBuf>,
    /// Write a page (.html) or the curves alone (.svg) too
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let runs = args.runs.iter().map(SavedRun::find).collect::<Result<_>>()?;
    let comparison = Comparison::new(runs)?;
    if let Some(path) = &args.output {
        let text = match path.extension().and_then(|ending| ending.to_str()) {
            Some("html") => comparison.page()?,
            Some("svg") => comparison.svg()?,
            _ => {
                let message =
                    format!("--output must end in .html or .svg, got `{}`", path.display());
                return Err(Error::config("", message));
            }
        };
        write_atomic(path, |sink| sink.write_all(text.as_bytes()))?;
    }
    crate::print(comparison.to_string().trim_end())?;
    match &args.output {
        Some(path) => crate::print(&format!("\ncomparison: {}", path.display())),
        None => Ok(()),
    }
}
