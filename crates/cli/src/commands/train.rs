//! `sconce train`

use super::determinism;
use crate::overrides::Override;
use crate::signals::Signals;
use sconce::core::{Error, Result, device};
use sconce::train::callbacks::EventLog;
use sconce::train::history::{History, short};
use sconce::train::run_config::{RunConfig, read_json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// The run configuration, a JSON file (`sconce schema` describes it)
    pub config: PathBuf,
    /// Change a value of the configuration, such as fit.epochs=3 or `callbacks[0].config.patience=2`
    #[arg(long = "set", value_name = "KEY.PATH=VALUE")]
    pub set: Vec<Override>,
    /// auto, cpu, metal or cuda
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Go on from the newest checkpoint, or start if there is none
    #[arg(long)]
    resume: bool,
    /// Append every event of the run to a file, a line of JSON each (docs/long-runs.md has the keys)
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Train a few steps with one thread and with three, say whether the bits are the same, and end
    #[arg(long)]
    verify_determinism: bool,
    /// Train so many steps and print the fingerprint of the weights
    #[arg(long, value_name = "STEPS", hide = true)]
    fingerprint_after: Option<usize>,
    /// Show no summary and no progress
    #[arg(long)]
    pub quiet: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let device = device::parse(&args.device)?;
    if args.config.extension().is_some_and(|ending| ending == "keras") {
        return Err(Error::config(
            "",
            format!(
                "`{}` is a model; CONFIG is a run configuration, a JSON file that may name it as its \
                 `model`",
                args.config.display()
            ),
        ));
    }
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
    if value.get("class_name").is_some() {
        return Err(Error::config(
            "",
            format!(
                "`{}` is a model; CONFIG is a run configuration, which may name it as its `model`",
                args.config.display()
            ),
        ));
    }
    let config = RunConfig::from_json(&value).map_err(place)?;
    if args.verify_determinism {
        return determinism::verify(args);
    }
    if let Some(steps) = args.fingerprint_after {
        return determinism::fingerprint(config, steps, &device).map_err(place);
    }
    let config = RunConfig { file: Some(args.config.clone()), ..config };
    let mut run = config.prepare(&device).map_err(place)?;
    if let Some(path) = &args.events {
        run.add_callback(EventLog::new(path));
    }
    if args.resume {
        run.resume().map_err(place)?;
    }
    let signals = Signals::watch(&run.cancel_token())
        .map_err(|e| Error::training(format!("signals cannot be handled: {e}")))?;
    if !args.quiet {
        say(run.model.summary()?.trim_end());
    }
    let before = run.newest_checkpoint();
    let trained = if args.quiet { run.train_quietly() } else { run.train() };
    let checkpoint = run.newest_checkpoint();
    let outcome = match trained {
        Ok(outcome) => outcome,
        Err(error) => {
            if let Some(checkpoint) = checkpoint.filter(|newest| before.as_ref() != Some(newest)) {
                say(&format!(
                    "The run failed after it had written {}. To go on from there, once the cause is gone:\n  {}",
                    checkpoint.display(),
                    command_to_go_on(args)
                ));
            }
            return Err(place(error));
        }
    };
    if outcome.cancelled {
        say(&how_to_go_on(args, &config, checkpoint.as_deref(), &outcome.history));
        return Ok(ExitCode::from(signals.exit_code()));
    }
    let scores = match outcome.validation {
        Some(scores) => format!("validation: {scores}"),
        None => {
            let last = outcome.history.last("loss").map(short);
            format!("training: loss: {}", last.unwrap_or_default())
        }
    };
    crate::print(&scores)?;
    let output = &config.output;
    for (what, path) in
        [("model", &output.model), ("history", &output.history), ("report", &output.report)]
    {
        if let Some(path) = path {
            crate::print(&format!("{what}: {}", path.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A line for people. A closed stderr is no reason to fail.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What a run that was interrupted has saved, and the command that goes on with it.
fn how_to_go_on(
    args: &Args,
    config: &RunConfig,
    checkpoint: Option<&Path>,
    history: &History,
) -> String {
    let done = config.fit.initial_epoch + history.epoch.len();
    let epochs = if done == 1 { "epoch" } else { "epochs" };
    match checkpoint {
        Some(checkpoint) => format!(
            "Interrupted after {done} whole {epochs}; a checkpoint is in {}. To go on:\n  {}",
            checkpoint.display(),
            command_to_go_on(args)
        ),
        None => format!(
            "Interrupted after {done} whole {epochs}. The run has written no checkpoint, so it cannot go on"
        ),
    }
}

/// The command that goes on with this run, as a shell reads it.
fn command_to_go_on(args: &Args) -> String {
    let mut words = vec!["sconce".to_string(), "train".into(), args.config.display().to_string()];
    for set in &args.set {
        words.extend(["--set".into(), set.to_string()]);
    }
    if args.device != "auto" {
        words.extend(["--device".into(), args.device.clone()]);
    }
    if let Some(events) = &args.events {
        words.extend(["--events".into(), events.display().to_string()]);
    }
    if args.quiet {
        words.push("--quiet".into());
    }
    words.push("--resume".into());
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word for a shell: in quotes if it holds what a shell would not leave as it is.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
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

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_words_as_they_are() {
        for word in [
            "",
            "runs/a-1.json",
            "my run.json",
            "it's",
            "fit.epochs=3",
            "a[0].b={\"c\": 1}",
            "$HOME",
            "~/x",
            "a;b",
        ] {
            let text = format!("printf %s {}", quoted(word));
            let output = std::process::Command::new("sh").args(["-c", &text]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
        assert_eq!(quoted("fit.epochs=3"), "fit.epochs=3");
    }
}
