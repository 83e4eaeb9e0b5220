//! The `sconce` command: trains, evaluates and converts models without a line of code.
//!
//! Separation of concerns: this file is the command line and the exit codes; each file of
//! `commands` is one command; `overrides` is `--set`; `notes` shows the library's notices; `signals`
//! ends a run early.
//!
//! Results go to stdout, progress and errors to stderr.

mod commands;
mod notes;
mod overrides;
mod signals;

use clap::{Parser, Subcommand};
use commands::{compare, convert, evaluate, predict, report, schema, summary, train};
use sconce::core::Error;
use std::io::Write;
use std::process::ExitCode;

/// Keeps freed memory for the next step; the C library's own would hand it back and page it in anew.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Trains, evaluates and converts Keras models.
///
/// Exit codes: 0; 1 the run failed; 2 wrong usage or configuration; 130 or 143 a run was ended by
/// Ctrl-C or SIGTERM, and what it had made is saved.
#[derive(Parser)]
#[command(name = "sconce", version, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train what a run configuration describes
    Train(train::Args),
    /// Run a model on .npy, .npz or .csv files
    Predict(predict::Args),
    /// Score a model on .npy, .npz or .csv files
    Evaluate(evaluate::Args),
    /// Show a model's layers, shapes and numbers of weights
    Summary(summary::Args),
    /// Convert between .keras, .json (architecture) and .safetensors (weights)
    Convert(convert::Args),
    /// Write a run's curves, mistakes, layers and configuration as one page of HTML
    Report(report::Args),
    /// Show how runs differ in configuration and results
    Compare(compare::Args),
    /// Print the JSON Schema of run configurations
    Schema,
}

fn main() -> ExitCode {
    sconce_kernels::allocator::keep_freed_memory(10_000);
    let args = Args::parse();
    notes::show(!matches!(&args.command, Command::Train(train) if train.quiet));
    let result = match &args.command {
        Command::Train(args) => match train::run(args) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Predict(args) => predict::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Summary(args) => summary::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Report(args) => report::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Schema => schema::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(if error.is_usage() { 2 } else { 1 })
        }
    }
}

/// Prints a result. A reader that has seen enough (`sconce schema | head`) is no error.
fn print(text: &str) -> Result<(), Error> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::file("stdout", format!("cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}
