//! When checkpoints are written.

use super::file::{self, CheckpointFile};
use super::folder::Folder;
use super::writer::Writer;
use super::{Checkpoint, OnFailure};
use crate::callbacks::{Verbose, warn};
use sconce_core::atomic::check_writable;
use sconce_core::{Config, Result};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Of the time of a run, writing takes at most one part in so many where nothing was asked for.
const SPARING: u32 = 20;

/// The checkpoints of a run at work.
pub(crate) struct Keeper {
    settings: Checkpoint,
    writer: Writer,
    /// When the last one was begun.
    last: Instant,
    /// The step of the last one.
    last_step: Option<u64>,
    verbose: Verbose,
    /// How many could not be written since one could.
    failed: usize,
    /// Given back after the writer has ended.
    _folder: Folder,
}

impl Keeper {
    /// Checks that checkpoints can be written; gives the one to go on from, if that is asked for and
    /// there is one.
    pub fn begin(
        settings: Checkpoint,
        resume: bool,
        verbose: Verbose,
    ) -> Result<(Self, Option<(PathBuf, CheckpointFile)>)> {
        settings.check_ranges().map_err(|e| e.under("checkpoint"))?;
        let folder = &settings.directory;
        let taken = Folder::take(folder)?;
        file::remove_leftovers(folder);
        check_writable(file::path_of(folder, 0))?;
        let found = match resume {
            true => file::newest(folder, |line| warn(&line, verbose))?,
            false => None,
        };
        if !resume && let Some(previous) = file::set_aside(folder)? {
            let previous = previous.display();
            tracing::info!(
                "this run starts over; the checkpoints of the one before it are now in {previous}"
            );
        }
        if resume && found.is_none() {
            tracing::info!("there is no checkpoint in {} yet; the run starts", folder.display());
        }
        let keeper = Self {
            settings,
            writer: Writer::default(),
            last: Instant::now(),
            last_step: found.as_ref().map(|(_, file)| file.state.steps),
            verbose,
            failed: 0,
            _folder: taken,
        };
        Ok((keeper, found))
    }

    /// Whether one is to be written after a batch, which was this step of the run.
    pub fn due_after_batch(&self, step: u64) -> bool {
        let steps = self.settings.every_steps.is_some_and(|every| step.is_multiple_of(every));
        steps || self.is_time()
    }

    /// Whether one is to be written after this many epochs.
    pub fn due_after_epochs(&self, epochs: usize, is_last: bool) -> bool {
        let Checkpoint { every_steps, every_seconds, every_epochs, .. } = &self.settings;
        let every = match every_epochs {
            None if every_steps.is_none() && every_seconds.is_none() => Some(1),
            every => *every,
        };
        let due = every.is_some_and(|every| (epochs as u64).is_multiple_of(every));
        // The last one is what a longer run goes on from.
        is_last || (due && !(self.settings.sparing && self.is_costly())) || self.is_time()
    }

    fn is_time(&self) -> bool {
        self.settings.every_seconds.is_some_and(|every| self.last.elapsed().as_secs_f64() >= every)
    }

    fn is_costly(&self) -> bool {
        self.writer.is_busy() || self.last.elapsed() < self.cost() * SPARING
    }

    /// How long one takes, as far as that is known.
    fn cost(&self) -> Duration {
        match self.last_step {
            Some(_) => self.writer.took.max(Duration::from_millis(5)),
            None => Duration::ZERO,
        }
    }

    /// Hands one to the thread that writes.
    ///
    /// # Errors
    /// If the one before could not be written, and the run is to stop then.
    pub fn save(&mut self, file: CheckpointFile) -> Result<()> {
        self.last = Instant::now();
        self.last_step = Some(file.state.steps);
        let before = self.writer.write(file, &self.settings.directory, self.settings.keep);
        self.judge(before)
    }

    /// Waits until everything is written, at the end of a run.
    ///
    /// # Errors
    /// If the last one could not be written, and the run is to stop then.
    pub fn finish(&mut self, ended_by_itself: bool) -> Result<()> {
        let last = self.writer.wait();
        self.judge(last)?;
        if self.failed > 1 {
            let line = format!("the last {} checkpoints were not written", self.failed);
            warn(&line, self.verbose);
        }
        match ended_by_itself && self.settings.delete_when_finished {
            true => match (file::prune(&self.settings.directory, 0), self.settings.on_failure) {
                (Err(error), OnFailure::Continue) => {
                    warn(&error.to_string(), self.verbose);
                    Ok(())
                }
                (removed, _) => removed,
            },
            false => Ok(()),
        }
    }

    /// What becomes of a checkpoint that could not be written. Of several in a row the first is told of.
    fn judge(&mut self, written: Result<()>) -> Result<()> {
        let Err(error) = written else {
            if std::mem::take(&mut self.failed) > 0 {
                tracing::info!("checkpoints are written again");
            }
            return Ok(());
        };
        if self.settings.on_failure == OnFailure::Stop {
            return Err(error);
        }
        if self.failed == 0 {
            let line = format!("a checkpoint was not written, training goes on: {error}");
            warn(&line, self.verbose);
        }
        self.failed += 1;
        Ok(())
    }
}
