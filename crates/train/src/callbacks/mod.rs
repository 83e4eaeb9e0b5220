//! Callbacks: everything that watches or steers a run. Progress, early stopping, checkpoints and
//! logs are all callbacks; the loop knows none of them.
//!
//! Separation of concerns: [`Event`] says what happens and [`Run`] is what a callback sees of it;
//! each other file is one callback, at once its configuration with Keras's keys and its memory
//! during a run; [`Callbacks`] is the table that run configurations name them by; `monitor` is how
//! some of them compare values.

mod backup_and_restore;
mod csv_logger;
mod early_stopping;
mod event_log;
mod file_name;
mod lambda_callback;
mod learning_rate_scheduler;
mod model_checkpoint;
mod monitor;
mod progress;
mod python_float;
mod reduce_lr_on_plateau;
mod remote_monitor;
mod swap_ema_weights;
mod tensor_board;
mod terminate_on_nan;
#[cfg(test)]
mod tests;

pub use crate::metrics::Goal;
pub use backup_and_restore::BackupAndRestore;
pub use csv_logger::CSVLogger;
pub use early_stopping::EarlyStopping;
pub use event_log::EventLog;
pub use lambda_callback::LambdaCallback;
pub use learning_rate_scheduler::LearningRateScheduler;
pub use model_checkpoint::{ModelCheckpoint, SaveFreq};
pub use monitor::{Logged, Mode};
pub use progress::{Progress, Verbose};
pub use reduce_lr_on_plateau::ReduceLROnPlateau;
pub use remote_monitor::RemoteMonitor;
pub use swap_ema_weights::SwapEMAWeights;
pub use tensor_board::{TensorBoard, UpdateFreq};
pub use terminate_on_nan::TerminateOnNaN;

use crate::checkpoint::Checkpoint;
use crate::history::Logs;
use crate::model::Model;
use crate::optimizers::OptimizerState;
use sconce_core::{Entry, Error, Json, Kind, Part, Result, Tensor, registry};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happens in a run, in order. With validation, an epoch's test lies between its last batch
/// and its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Before the first epoch, also where a run goes on.
    TrainBegin,
    /// Before an epoch's first batch.
    EpochBegin {
        /// Number of the epoch, from 0.
        epoch: usize,
    },
    /// In the place of [`Event::EpochBegin`], where a run goes on from a checkpoint within an epoch.
    Resumed {
        /// Number of the epoch, from 0.
        epoch: usize,
        /// Number of the next batch, from 0.
        batch: usize,
    },
    /// Before a batch.
    BatchBegin {
        /// Number of the batch in its epoch, from 0.
        batch: usize,
    },
    /// After a batch. [`Run::logs`] gives the values so far.
    BatchEnd {
        /// Number of the batch in its epoch, from 0.
        batch: usize,
    },
    /// Before the validation of an epoch.
    TestBegin,
    /// After the validation of an epoch.
    TestEnd {
        /// Its values, without `val_`.
        logs: Logs,
    },
    /// After an epoch and its validation.
    EpochEnd {
        /// Number of the epoch, from 0.
        epoch: usize,
        /// Its values.
        logs: Logs,
    },
    /// After the last epoch, however the run ended: every callback gets it, once, even if another
    /// fails.
    TrainEnd {
        /// How the run ended.
        end: End,
    },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// After its last epoch.
    Finished,
    /// A callback stopped it, for this reason.
    Stopped(String),
    /// Its [`CancelToken`](crate::CancelToken) was used.
    Cancelled,
    /// With this error, which `fit` returns.
    Failed(String),
}

/// Whether the run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// It stops for this reason: within an epoch after the batch at hand, and that epoch is then
    /// validated and ends as any other.
    Stop(String),
}

/// The run as callbacks see it.
pub struct Run<'a> {
    /// The model, with its weights, optimizer and state.
    pub model: &'a mut Model,
    /// The last epoch is this minus one.
    pub epochs: usize,
    /// Batches in this epoch.
    pub steps: Option<usize>,
    /// The names that the run logs.
    pub logged: &'a Logged,
}

impl Run<'_> {
    /// Loss and metrics so far: of the epoch, or of its validation during that. This waits for the
    /// device, so a callback that is called after each batch asks only when it needs them.
    pub fn logs(&self) -> Result<Logs> {
        self.model.logs()
    }
}

/// Watches or steers a run.
///
/// In a run, `prepare` comes first, then (only when an interrupted run goes on) `restore`, then the
/// events.
pub trait Callback: Send {
    /// Name for messages and for its saved state.
    fn name(&self) -> &'static str;

    /// Starts over for a new run, and checks before it that the callback can do its work: that
    /// files can be written, that what it monitors is logged.
    ///
    /// # Errors
    /// A configuration error has a path relative to the callback's configuration.
    fn prepare(&mut self, _run: &Run<'_>) -> Result<()> {
        Ok(())
    }

    /// Called at every event.
    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow>;

    /// Values that it adds to the logs of each epoch, before the event of its end. Their names are asked
    /// for before the run.
    fn logs(&self, _model: &Model) -> Result<Logs> {
        Ok(Logs::default())
    }

    /// Its configuration, if it changes what is learned and not only watches: a run that goes on from a
    /// checkpoint must have the same.
    fn steers(&self) -> Result<Option<Json>> {
        Ok(None)
    }

    /// The checkpoints that it asks the run to write and to go on from, if `fit` was given none.
    fn checkpoint(&self) -> Option<Checkpoint> {
        None
    }

    /// What it must remember to go on after an interruption.
    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState::default())
    }

    /// Takes back what [`Callback::state`] gave.
    fn restore(&mut self, _state: CallbackState) -> Result<()> {
        Ok(())
    }
}

/// A callback to look at after the run: `let stopping = Arc::new(Mutex::new(EarlyStopping::new()));`,
/// of which a clone is given to `fit`.
impl<C: Callback> Callback for Arc<Mutex<C>> {
    fn name(&self) -> &'static str {
        inner(self).name()
    }

    fn prepare(&mut self, run: &Run<'_>) -> Result<()> {
        inner(self).prepare(run)
    }

    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow> {
        inner(self).on(event, run)
    }

    fn logs(&self, model: &Model) -> Result<Logs> {
        inner(self).logs(model)
    }

    fn steers(&self) -> Result<Option<Json>> {
        inner(self).steers()
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        inner(self).checkpoint()
    }

    fn state(&self) -> Result<CallbackState> {
        inner(self).state()
    }

    fn restore(&mut self, state: CallbackState) -> Result<()> {
        inner(self).restore(state)
    }
}

fn inner<C>(callback: &Arc<Mutex<C>>) -> MutexGuard<'_, C> {
    callback.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a callback remembers between events.
#[derive(Clone, Debug, Default)]
pub struct CallbackState {
    /// Numbers and names.
    pub values: Json,
    /// Arrays (such as the best weights), in an order of the callback's own.
    pub tensors: Vec<Tensor>,
}

/// The table of callbacks that a run configuration can name.
pub struct Callbacks;

/// A callback as run configurations state it: `{"class_name": "EarlyStopping", "config": {..}}`.
/// [`CallbackConfig::start`] makes one to run with.
pub type CallbackPart = Part<Callbacks>;

/// The configuration of a callback.
pub trait CallbackConfig: Send + Sync {
    /// Refuses values that cannot work.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The files it writes whose names are known beforehand, each with the key that states it.
    fn files(&self) -> Vec<(&'static str, PathBuf)> {
        Vec::new()
    }

    /// A callback for one run.
    fn start(&self) -> Box<dyn Callback>;
}

impl Kind for Callbacks {
    type Object = dyn CallbackConfig;
    const NAME: &'static str = "callback";
    const MODULE: &'static str = "keras.callbacks";
    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }

    fn check(object: &Self::Object) -> Result<()> {
        object.check()
    }

    fn instead_of(name: &str) -> Option<&'static str> {
        Some(match name {
            "LambdaCallback" => "it holds code, which a document cannot; a program in Rust can",
            "LearningRateScheduler" => {
                "it holds code, which a document cannot; give the optimizer a schedule as its \
                 learning_rate"
            }
            "History" => "every run has one; `output.history` names its file",
            "ProgbarLogger" => "every run has one; `fit.verbose` says what it shows",
            "OrbaxCheckpoint" => {
                "use ModelCheckpoint, which has max_to_keep too, or the section `checkpoint` of the run"
            }
            _ => return None,
        })
    }
}

registry! { Callbacks(CallbackConfig):
    BackupAndRestore [];
    CSVLogger [];
    EarlyStopping [];
    ModelCheckpoint [];
    ReduceLROnPlateau [];
    RemoteMonitor [];
    SwapEMAWeights [];
    TensorBoard [];
    TerminateOnNaN [];
}

/// The optimizer at work.
fn optimizer_of(model: &Model) -> Result<&OptimizerState> {
    let state = model.compiled()?.optimizer_state();
    state.ok_or_else(|| {
        Error::training("the model is not built yet, so it has no optimizer at work")
    })
}

/// The learning rate, as Keras's callbacks that change it add it to the logs: of a MultiOptimizer the rate
/// of each optimizer in it.
fn learning_rate_log(model: &Model) -> Result<Logs> {
    Ok(Logs(optimizer_of(model)?.learning_rates()))
}

/// Of which optimizer a learning rate of this name is, as Keras says it: nothing where there is one only.
fn of_optimizer(name: &str) -> String {
    name.strip_prefix("learning_rate_").map(|name| format!(" {name}")).unwrap_or_default()
}

/// Warns during a run: a program that listens to the library's events gets one, anyone else who is
/// shown progress a line on stderr.
pub(crate) fn warn(line: &str, verbose: Verbose) {
    if tracing::enabled!(tracing::Level::WARN) {
        tracing::warn!("{line}");
    } else if verbose != Verbose::Silent {
        notice(&format!("warning: {line}"));
    }
}

/// A line on stderr for people. A closed stderr is no reason to end a run.
pub(crate) fn notice(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
