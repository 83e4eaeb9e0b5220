//! Callbacks: everything that watches or steers a run. Progress, early stopping, checkpoints and
//! logs are all callbacks; the loop knows none of them.

mod progress;

pub use progress::{Progress, Verbose};

use crate::history::Logs;
use crate::model::Model;
use sconce_core::{Json, Result};

/// What happens in a run, in order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Before the first epoch.
    TrainBegin,
    /// Before an epoch's first batch.
    EpochBegin {
        /// Number of the epoch, from 0.
        epoch: usize,
    },
    /// After a batch.
    BatchEnd {
        /// Number of the batch in its epoch, from 0.
        batch: usize,
        /// The values so far, if a callback asked for them.
        logs: Option<Logs>,
    },
    /// After an epoch and its validation.
    EpochEnd {
        /// Number of the epoch, from 0.
        epoch: usize,
        /// Its values.
        logs: Logs,
    },
    /// After the last epoch, however the run ended.
    TrainEnd,
}

/// Whether the run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// It stops after this event, for this reason.
    Stop(String),
}

/// The run as callbacks see it.
pub struct Run<'a> {
    /// The model, with its weights, optimizer and state.
    pub model: &'a mut Model,
    /// The last epoch is this minus one.
    pub epochs: usize,
    /// Batches an epoch.
    pub steps: usize,
}

/// Watches or steers a run.
pub trait Callback: Send {
    /// Name for messages and for its saved state.
    fn name(&self) -> &'static str;

    /// Whether it needs values after each batch. That reads the device every batch.
    fn wants_batch_logs(&self) -> bool {
        false
    }

    /// Called at every event.
    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow>;

    /// Checks before training that it can do its work: that files can be written, names exist.
    fn prepare(&mut self, _log_names: &[String]) -> Result<()> {
        Ok(())
    }

    /// What it must remember to go on after an interruption.
    fn state(&self) -> Json {
        Json::Null
    }

    /// Takes back what [`Callback::state`] gave.
    fn restore(&mut self, _state: &Json) -> Result<()> {
        Ok(())
    }
}
