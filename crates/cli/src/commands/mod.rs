//! The commands.

mod arrays;
pub mod compare;
pub mod convert;
mod determinism;
pub mod evaluate;
pub mod predict;
mod predictions;
pub mod report;
pub mod schema;
pub mod summary;
pub mod train;

use arrays::Slots;
use sconce::core::{Error, Result};
use sconce::model::Graph;
use std::path::Path;

/// The inputs of a model, for which files are given with an argument.
fn inputs<'a>(argument: &'a str, graph: &Graph, names: &'a [&'a str]) -> Slots<'a> {
    Slots { argument, kind: "input", names, is_dict: graph.input_keys().is_some() }
}

/// Some or all outputs of a model, for which files are given with an argument.
fn outputs<'a>(argument: &'a str, graph: &Graph, names: &'a [&'a str]) -> Slots<'a> {
    Slots { argument, kind: "output", names, is_dict: graph.output_keys().is_some() }
}

/// All outputs of a model, for which files are written: those of a dict too have an order in files.
fn written_outputs<'a>(argument: &'a str, names: &'a [&'a str]) -> Slots<'a> {
    Slots { argument, kind: "output", names, is_dict: false }
}

/// Refuses a file that cannot be a trained model.
fn model_file(path: &Path, endings: &[&str]) -> Result<()> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    if endings.contains(&ending) {
        return Ok(());
    }
    let advice = match ending {
        "json" => {
            ", which holds a run configuration or an architecture and no weights: train it \
                   first, and give the model that `sconce train` writes"
        }
        _ => "",
    };
    let endings = match endings.split_last() {
        Some((last, [])) => last.to_string(),
        Some((last, first)) => format!("{} or .{last}", first.join(", .")),
        None => String::new(),
    };
    let message = format!("MODEL must be a .{endings} file, got `{}`{advice}", path.display());
    Err(Error::config("", message))
}
