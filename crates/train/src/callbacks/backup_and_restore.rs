//! Keras's name for checkpoints that a run goes on from.

use super::{Callback, CallbackConfig, Event, Flow, Run, SaveFreq};
use crate::checkpoint::Checkpoint;
use sconce_core::{Config, Error, Result};
use std::path::PathBuf;

/// Backs up the run after each epoch or every so many batches, and goes on from the backup when it is
/// interrupted and started again (Keras's `BackupAndRestore`). It is short for
/// [`Fit::checkpoint`](crate::Fit::checkpoint) and [`Fit::resume`](crate::Fit::resume): unlike Keras's it
/// goes on with the very bits of the run that was not interrupted, also within an epoch.
#[derive(Clone, Debug, Config)]
pub struct BackupAndRestore {
    /// The folder, for this run alone.
    pub backup_dir: PathBuf,
    /// When to save: `"epoch"` (after each), or every so many batches.
    #[config(default)]
    pub save_freq: SaveFreq,
    /// Whether the backup before the newest is kept too, in case that one is damaged.
    #[config(default = false)]
    pub double_checkpoint: bool,
    /// Whether the backups are removed when the run has ended by itself.
    #[config(default = true)]
    pub delete_checkpoint: bool,
}

impl CallbackConfig for BackupAndRestore {
    fn start(&self) -> Box<dyn Callback> {
        Box::new(self.clone())
    }
}

impl Callback for BackupAndRestore {
    fn name(&self) -> &'static str {
        "BackupAndRestore"
    }

    fn prepare(&mut self, _run: &Run<'_>) -> Result<()> {
        match self.backup_dir.as_os_str().is_empty() {
            true => Err(Error::config("backup_dir", "must be the name of a folder, got \"\"")),
            false => Ok(()),
        }
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        let checkpoint = Checkpoint::new(&self.backup_dir)
            .keep(if self.double_checkpoint { 2 } else { 1 })
            .delete_when_finished(self.delete_checkpoint);
        Some(match self.save_freq {
            SaveFreq::Epoch => checkpoint,
            SaveFreq::Batches(batches) => checkpoint.every_steps(batches as u64),
        })
    }

    fn on(&mut self, _event: &Event, _run: &mut Run<'_>) -> Result<Flow> {
        Ok(Flow::Continue)
    }
}
