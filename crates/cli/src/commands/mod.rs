//! The commands.

mod arrays;
pub mod convert;
pub mod evaluate;
pub mod predict;
pub mod schema;
pub mod summary;
pub mod train;

use arrays::{ArrayFile, Slots};
use sconce::core::{Error, Result, Tensor};
use sconce::data::read_npy;
use sconce::model::Graph;
use std::path::Path;

/// The arrays of files.
fn read_all(files: &[&ArrayFile]) -> Result<Vec<Tensor>> {
    files.iter().map(|file| read_npy(&file.path)).collect()
}

/// The inputs of a model, for which files are given with an argument.
fn inputs<'a>(argument: &'a str, graph: &Graph, names: &'a [&'a str]) -> Slots<'a> {
    Slots { argument, kind: "input", names, is_dict: graph.input_keys().is_some() }
}

/// Some or all outputs of a model, for which files are given with an argument.
fn outputs<'a>(argument: &'a str, graph: &Graph, names: &'a [&'a str]) -> Slots<'a> {
    Slots { argument, kind: "output", names, is_dict: graph.output_keys().is_some() }
}

/// Refuses a file that does not end as it must.
fn must_end_in(path: &Path, argument: &str, ending: &str) -> Result<()> {
    if path.extension().is_some_and(|e| e == ending) {
        return Ok(());
    }
    Err(Error::config("", format!("{argument} must be a .{ending} file, got `{}`", path.display())))
}
