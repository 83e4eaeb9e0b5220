//! Stops when a value no longer improves.

use super::{
    Callback, CallbackConfig, CallbackState, Event, Flow, Goal, Mode, Run, monitor, notice,
};
use sconce_core::{Config, Error, Json, Result, Tensor, json};
use serde::{Deserialize, Serialize};

/// Stops the run when a monitored value has stopped improving (Keras's `EarlyStopping`).
///
/// After each epoch from `start_from_epoch` on, the value improves if it beats the best so far by
/// more than `min_delta`. The run stops once `patience` epochs (at least one) have passed since the
/// last improvement that also beat `baseline`. An epoch that has no value, because it was not
/// validated, does not count.
///
/// With `restore_best_weights` the weights of the best epoch return when the run ends, however it
/// ends: by patience, after its last epoch, cancelled, or with an error. (Keras does not restore
/// after an error.) Optimizer state is left as it is, as in Keras.
#[derive(Clone, Debug, Config)]
#[config(new(monitor))]
pub struct EarlyStopping {
    /// The logged name to watch.
    #[config(default = "val_loss")]
    pub monitor: String,
    /// Smallest change that is an improvement; the sign does not matter.
    #[config(default = 0.0, range = "(-inf, inf)")]
    pub min_delta: f64,
    /// Epochs without improvement after which the run stops.
    #[config(default = 0)]
    pub patience: usize,
    /// 1 says on stderr what it does, 0 nothing.
    #[config(default = 0)]
    pub verbose: u8,
    /// Which way is better.
    #[config(default)]
    pub mode: Mode,
    /// A value to beat before patience starts over.
    #[config(range = "(-inf, inf)")]
    pub baseline: Option<f64>,
    /// Whether the weights of the best epoch return at the end.
    #[config(default = false)]
    pub restore_best_weights: bool,
    /// Epochs before this one (from 0) are not watched.
    #[config(default = 0)]
    pub start_from_epoch: usize,
    #[config(skip)]
    memory: Memory,
    #[config(skip)]
    best_weights: Option<Vec<Tensor>>,
    #[config(skip)]
    goal: Option<Goal>,
}

/// What is remembered between epochs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    #[serde(with = "crate::exact::option")]
    best: Option<f64>,
    best_epoch: usize,
    wait: usize,
    stopped_epoch: Option<usize>,
}

impl EarlyStopping {
    /// The best value so far.
    pub fn best(&self) -> Option<f64> {
        self.memory.best
    }

    /// The epoch (from 0) of the best value.
    pub fn best_epoch(&self) -> Option<usize> {
        self.memory.best.map(|_| self.memory.best_epoch)
    }

    /// The epoch (from 0) after which it stopped the run, if it did.
    pub fn stopped_epoch(&self) -> Option<usize> {
        self.memory.stopped_epoch
    }

    fn epoch_end(&mut self, epoch: usize, value: f64, run: &Run<'_>) -> Result<Flow> {
        let Some(goal) = self.goal else { return Ok(Flow::Continue) };
        let improves = |reference| monitor::improved(goal, self.min_delta, value, reference);
        let better = improves(self.memory.best);
        let beats_baseline = self.baseline.is_none_or(|baseline| improves(Some(baseline)));
        if self.restore_best_weights && (better || self.best_weights.is_none()) {
            self.best_weights = Some(run.model.network()?.get_weights()?);
            self.memory.best_epoch = epoch;
        }
        self.memory.wait += 1;
        if better {
            self.memory.best = Some(value);
            self.memory.best_epoch = epoch;
            if beats_baseline {
                self.memory.wait = 0;
            }
            return Ok(Flow::Continue);
        }
        if self.memory.wait < self.patience || epoch == 0 {
            return Ok(Flow::Continue);
        }
        self.memory.stopped_epoch = Some(epoch);
        let best = self.memory.best.map(crate::history::short).unwrap_or_default();
        Ok(Flow::Stop(format!(
            "{} has not improved since epoch {} ({best})",
            self.monitor,
            self.memory.best_epoch + 1,
        )))
    }

    fn train_end(&mut self, run: &mut Run<'_>) -> Result<()> {
        if let (Some(epoch), 1..) = (self.memory.stopped_epoch, self.verbose) {
            notice(&format!("Epoch {}: early stopping", epoch + 1));
        }
        let Some(weights) = self.best_weights.take() else { return Ok(()) };
        if self.verbose > 0 {
            let epoch = self.memory.best_epoch + 1;
            notice(&format!("Restoring model weights from the end of the best epoch: {epoch}."));
        }
        run.model.network()?.set_weights(&weights)
    }
}

impl CallbackConfig for EarlyStopping {
    fn start(&self) -> Box<dyn Callback> {
        Box::new(self.clone())
    }
}

impl Callback for EarlyStopping {
    fn name(&self) -> &'static str {
        "EarlyStopping"
    }

    fn prepare(&mut self, run: &Run<'_>) -> Result<()> {
        self.check_ranges()?;
        self.goal = Some(run.logged.goal(&self.monitor, self.mode)?);
        self.memory = Memory::default();
        self.best_weights = None;
        Ok(())
    }

    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow> {
        match event {
            Event::EpochEnd { epoch, logs } if *epoch >= self.start_from_epoch => {
                match logs.get(&self.monitor) {
                    Some(value) => self.epoch_end(*epoch, value, run),
                    None => Ok(Flow::Continue),
                }
            }
            Event::TrainEnd { .. } => self.train_end(run).map(|()| Flow::Continue),
            _ => Ok(Flow::Continue),
        }
    }

    fn steers(&self) -> Result<Option<Json>> {
        Ok(Some(Json::Object(self.to_config()?)))
    }

    fn state(&self) -> Result<CallbackState> {
        let values =
            serde_json::to_value(&self.memory).map_err(|e| Error::config("", e.to_string()))?;
        Ok(CallbackState { values, tensors: self.best_weights.clone().unwrap_or_default() })
    }

    fn restore(&mut self, state: CallbackState) -> Result<()> {
        self.memory = json::parse(state.values)?;
        self.best_weights = (!state.tensors.is_empty()).then_some(state.tensors);
        Ok(())
    }
}
