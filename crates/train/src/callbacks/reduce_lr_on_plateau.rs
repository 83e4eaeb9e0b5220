//! Lowers the learning rate when a value no longer improves.

use super::{
    Callback, CallbackConfig, CallbackState, Event, Flow, Goal, Mode, Run, learning_rate_log,
    monitor, notice, of_optimizer, optimizer_of, python_float,
};
use crate::history::Logs;
use crate::model::Model;
use sconce_core::{Config, Error, Json, Result, json};
use serde::{Deserialize, Serialize};

/// Multiplies the learning rate by `factor` when a monitored value has not improved by more than
/// `min_delta` for `patience` epochs (Keras's `ReduceLROnPlateau`), and then waits `cooldown` epochs
/// before it counts again. The logs of each epoch have its `learning_rate`. Of a `MultiOptimizer` each
/// rate is lowered, and logged as `learning_rate_{name}`.
///
/// An epoch that has no value, because it was not validated, does not count.
#[derive(Clone, Debug, Config)]
pub struct ReduceLROnPlateau {
    /// The logged name to watch.
    #[config(default = "val_loss")]
    pub monitor: String,
    /// Factor on the learning rate.
    #[config(default = 0.1, range = "[0, 1)")]
    pub factor: f64,
    /// Epochs without improvement after which the rate is lowered.
    #[config(default = 10)]
    pub patience: usize,
    /// 1 says on stderr what it does, 0 nothing.
    #[config(default = 0)]
    pub verbose: u8,
    /// Which way is better.
    #[config(default)]
    pub mode: Mode,
    /// Smallest change that is an improvement; the sign does not matter.
    #[config(default = 1e-4, range = "(-inf, inf)")]
    pub min_delta: f64,
    /// Epochs after a reduction that do not count.
    #[config(default = 0)]
    pub cooldown: usize,
    /// The rate is not lowered below this one.
    #[config(default = 0.0, range = "[0, inf)")]
    pub min_lr: f64,
    #[config(skip)]
    memory: Memory,
    #[config(skip)]
    goal: Option<Goal>,
}

/// What is remembered between epochs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    #[serde(with = "crate::exact::option")]
    best: Option<f64>,
    wait: usize,
    cooldown: usize,
}

impl ReduceLROnPlateau {
    fn epoch_end(&mut self, epoch: usize, value: f64, run: &mut Run<'_>) -> Result<()> {
        let Some(goal) = self.goal else { return Ok(()) };
        if self.memory.cooldown > 0 {
            self.memory.cooldown -= 1;
            self.memory.wait = 0;
        }
        if monitor::improved(goal, self.min_delta, value, self.memory.best) {
            self.memory.best = Some(value);
            self.memory.wait = 0;
            return Ok(());
        }
        if self.memory.cooldown > 0 {
            return Ok(());
        }
        self.memory.wait += 1;
        if self.memory.wait < self.patience {
            return Ok(());
        }
        for (name, optimizer) in run.model.compiled_mut()?.optimizer()?.by_learning_rate() {
            let rate = optimizer.learning_rate();
            if rate <= f64::from(self.min_lr as f32) {
                continue;
            }
            let lower = (rate * self.factor).max(self.min_lr);
            optimizer.set_learning_rate(lower)?;
            (self.memory.cooldown, self.memory.wait) = (self.cooldown, 0);
            if self.verbose > 0 {
                notice(&format!(
                    "Epoch {}: ReduceLROnPlateau reducing{} learning rate to {}.",
                    epoch + 1,
                    of_optimizer(&name),
                    python_float::repr(lower)
                ));
            }
        }
        Ok(())
    }
}

impl CallbackConfig for ReduceLROnPlateau {
    fn start(&self) -> Box<dyn Callback> {
        Box::new(self.clone())
    }
}

impl Callback for ReduceLROnPlateau {
    fn name(&self) -> &'static str {
        "ReduceLROnPlateau"
    }

    fn prepare(&mut self, run: &Run<'_>) -> Result<()> {
        self.check_ranges()?;
        self.goal = Some(run.logged.goal(&self.monitor, self.mode)?);
        self.memory = Memory::default();
        // A rate that cannot be set is refused before the first step.
        optimizer_of(run.model)?.check_learning_rate_can_be_set()
    }

    fn logs(&self, model: &Model) -> Result<Logs> {
        learning_rate_log(model)
    }

    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow> {
        if let Event::EpochEnd { epoch, logs } = event
            && let Some(value) = logs.get(&self.monitor)
        {
            self.epoch_end(*epoch, value, run)?;
        }
        Ok(Flow::Continue)
    }

    fn steers(&self) -> Result<Option<Json>> {
        Ok(Some(Json::Object(self.to_config()?)))
    }

    fn state(&self) -> Result<CallbackState> {
        let values =
            serde_json::to_value(&self.memory).map_err(|e| Error::config("", e.to_string()))?;
        Ok(CallbackState { values, tensors: Vec::new() })
    }

    fn restore(&mut self, state: CallbackState) -> Result<()> {
        self.memory = json::parse(state.values)?;
        Ok(())
    }
}
