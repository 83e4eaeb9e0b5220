//! Checkpoints: everything that decides how a run goes on, in a file, so that a run that was
//! interrupted ends with the same bits as one that was not.
//!
//! Separation of concerns: this file is how checkpoints are asked for; `file` is the format, and what
//! a folder of them holds; `folder` keeps it for one run at a time; `snapshot` is what of a run goes into a file and comes back from it;
//! `writer` is the thread that writes; `keeper` decides when; `conditions` is what must be the same in
//! the run that goes on.
//!
//! # The format
//!
//! A checkpoint is one safetensors file, `step-000000200.safetensors` after 200 steps. Its
//! `__metadata__` holds
//!
//! - `format`: `sconce checkpoint`, and `version`: `1`;
//! - `state`: a JSON object, see below;
//! - `sha256`: the checksum of `format`, `version`, `state`, and name, type, shape and bytes of every
//!   array in the order of their names (each with its length before it).
//!
//! The arrays are `weights/{path}` (in the types they have, batch statistics included),
//! `carried/{path}/{i}` (states of stateful recurrent layers), `optimizer/{i}` (Keras's
//! `optimizer.variables` in order), `metrics/{i}/{j}` (sums of the running epoch),
//! `callbacks/{i}/{j}` (such as the best weights) and `step/{j}` (of a training step of your own). The
//! state holds
//!
//! - `position`: `epoch`, `batch` (from 0: all before are done) and `stopped` (the reason for which a
//!   callback has stopped the run, or `null`);
//! - `steps` since the run began, `counted` (batches of an epoch, where only its end tells);
//! - `conditions`: what decides the numbers, compared when a run goes on;
//! - `run`: seed, version, device;
//! - `metrics`: how many arrays each metric has; `history`: the values of all epochs;
//! - `callbacks`: of each its `name`, `values` and number of `tensors`; `step`: the same of a
//!   training step of your own.
//!
//! Random streams and the order of the data are functions of the seed and these positions, so
//! nothing else is random state. A number that JSON has no word for is a string: `"NaN"`, `"inf"`.

mod conditions;
mod file;
mod folder;
mod keeper;
pub(crate) mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use conditions::Conditions;
pub(crate) use file::{CheckpointFile, Position, list};
pub(crate) use keeper::Keeper;

use sconce_core::{Config, ConfigValue};
use std::path::{Path, PathBuf};

/// When checkpoints of a run are written, where, and whether the run goes on from one.
///
/// Without `every_steps`, `every_seconds` and `every_epochs`, one is written after each epoch. Files
/// are written on a thread of their own while training goes on, each as a whole or not at all. See
/// [the format](crate::checkpoint).
///
/// ```no_run
/// # use sconce_train::{Fit, Model, checkpoint::Checkpoint};
/// # fn train(model: &mut Model, x: &[[f32; 2]], y: &[[f32; 1]]) -> sconce_core::Result<()> {
/// let checkpoint = Checkpoint::new("runs/x/checkpoints").every_steps(200).keep(3);
/// model.fit_with(x, y, Fit::new(100, 32).checkpoint(checkpoint).resume(true))?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Config)]
#[config(value)]
pub struct Checkpoint {
    /// The folder; it is made if it is missing. Checkpoints of an earlier run that is not gone on with
    /// are moved to `previous` in it.
    pub directory: PathBuf,
    /// Writes one every so many batches.
    #[config(skip_none, range = "[1, inf)")]
    pub every_steps: Option<u64>,
    /// Writes one after the first batch that ends so many seconds after the last one.
    #[config(skip_none, range = "[0, inf)")]
    pub every_seconds: Option<f64>,
    /// Writes one after every so many epochs.
    #[config(skip_none, range = "[1, inf)")]
    pub every_epochs: Option<u64>,
    /// How many are kept. Two, so that there is one before a newest that turns out to be damaged.
    #[config(default = 2, range = "[1, inf)")]
    pub keep: usize,
    /// What happens if one cannot be written.
    #[config(default)]
    pub on_failure: OnFailure,
    /// Whether all are removed once the run has ended by itself, as Keras's BackupAndRestore does.
    #[config(default = false)]
    pub delete_when_finished: bool,
    /// Leaves out those that would take more than a small part of the run's time.
    #[config(skip)]
    sparing: bool,
}

/// What happens when a checkpoint cannot be written, on a full disk for instance. The checkpoint
/// before stays in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum OnFailure {
    /// A warning; training goes on, and the next one is tried.
    #[default]
    Continue,
    /// The run ends with the error.
    Stop,
}

impl Checkpoint {
    /// The setting of a run that asks for none: beside the model that it writes (`m-checkpoints` for
    /// `m.keras`), after each epoch, except where epochs are so short that writing would take more
    /// than a twentieth of the time.
    pub fn beside(model: &Path) -> Self {
        let stem = model.file_stem().and_then(|stem| stem.to_str()).unwrap_or("model");
        let directory = model.with_file_name(format!("{stem}-checkpoints"));
        Self { sparing: true, ..Self::new(directory) }
    }
}
