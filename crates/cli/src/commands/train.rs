//! `sconce train`

use crate::overrides::Override;
use sconce::core::{Error, Result, device};
use sconce::train::history::short;
use sconce::train::run_config::{RunConfig, read_json};
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The run configuration, a JSON file (`sconce schema` describes it)
    config: PathBuf,
    /// Change a value of the configuration, such as fit.epochs=3 or `callbacks[0].config.patience=2`
    #[arg(long = "set", value_name = "KEY.PATH=VALUE")]
    set: Vec<Override>,
    /// auto, cpu, metal or cuda
    #[arg(long, default_value = "auto")]
    device: String,
    /// Show no summary and no progress
    #[arg(long)]
    pub quiet: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let device = device::parse(&args.device)?;
    let (text, mut value) = read_json(&args.config).map_err(|e| match e {
        // A configuration that is not there is a slip in the command.
        Error::File { path, message } => {
            Error::config("", format!("{}: {message}", path.display()))
        }
        other => other,
    })?;
    for set in &args.set {
        set.apply(&mut value)?;
    }
    let place = |error: Error| locate(error, args, &text);
    let config = RunConfig::from_json(&value).map_err(place)?;
    let mut run = config.prepare(&device).map_err(place)?;
    if !args.quiet {
        let _ = writeln!(std::io::stderr(), "{}", run.model.summary()?.trim_end());
    }
    let outcome = if args.quiet { run.train_quietly() } else { run.train() }.map_err(place)?;
    let scores = match outcome.validation {
        Some(scores) => format!("validation: {scores}"),
        None => {
            let last = outcome.history.last("loss").map(short);
            format!("training: loss: {}", last.unwrap_or_default())
        }
    };
    crate::print(&scores)?;
    for (what, path) in [("model", &config.output.model), ("history", &config.output.history)] {
        if let Some(path) = path {
            crate::print(&format!("{what}: {}", path.display()))?;
        }
    }
    Ok(())
}

/// Where a configuration error comes from: a `--set`, or a line of the file.
fn locate(error: Error, args: &Args, text: &str) -> Error {
    if let Error::Config { path, file: None, .. } = &error
        && let Some(set) = args.set.iter().rev().find(|set| set.holds(path))
    {
        return set.blame(error);
    }
    error.in_file(&args.config, text)
}
