//! The commands.

pub mod convert;
pub mod evaluate;
pub mod predict;
pub mod schema;
pub mod summary;
pub mod train;

use sconce::core::{Error, Result, Tensor};
use sconce::data::read_npy;
use std::path::Path;

/// The arrays of several `.npy` files.
fn read_all(paths: &[impl AsRef<Path>]) -> Result<Vec<Tensor>> {
    paths.iter().map(read_npy).collect()
}

/// Refuses a file that does not end as it must.
fn must_end_in(path: &Path, argument: &str, ending: &str) -> Result<()> {
    if path.extension().is_some_and(|e| e == ending) {
        return Ok(());
    }
    Err(Error::config("", format!("{argument} must be a .{ending} file, got `{}`", path.display())))
}
