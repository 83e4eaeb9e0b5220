//! What of a run goes into a checkpoint, and comes back from it.

use super::file::{CheckpointFile, Position, SavedCallback, State};
use crate::callbacks::{Callback, CallbackState};
use crate::epoch::Training;
use sconce_core::context::Carried;
use sconce_core::{Device, Error, Json, Result, Tensor};
use sconce_saving::{Array, NamedTensors, network};
use std::collections::BTreeMap;
use std::sync::Arc;

const WEIGHTS: &str = "weights";
const CARRIED: &str = "carried";
const OPTIMIZER: &str = "optimizer";
const METRICS: &str = "metrics";
const CALLBACKS: &str = "callbacks";
const STEP: &str = "step";

/// Adds arrays as `group/0`, `group/1`, ...
fn insert(into: &mut NamedTensors, group: &str, tensors: &[Tensor]) -> Result<()> {
    for (index, tensor) in tensors.iter().enumerate() {
        into.insert(format!("{group}/{index}"), Array::from_tensor(&tensor.detach())?)?;
    }
    Ok(())
}

/// The arrays `group/0` to `group/{count - 1}`.
fn taken(from: &NamedTensors, group: &str, count: usize) -> Result<Vec<Tensor>> {
    let tensors: Vec<Tensor> = from
        .numbered(group)
        .into_iter()
        .map(|array| array.to_tensor(&Device::Cpu))
        .collect::<Result<_>>()?;
    match tensors.len() == count {
        true => Ok(tensors),
        false => Err(Error::data(format!(
            "it holds {} arrays in `{group}`, {count} are needed",
            tensors.len()
        ))),
    }
}

fn saved(
    into: &mut NamedTensors,
    group: &str,
    name: &str,
    state: CallbackState,
) -> Result<SavedCallback> {
    insert(into, group, &state.tensors)?;
    let tensors = state.tensors.len();
    Ok(SavedCallback { name: name.to_string(), values: state.values, tensors })
}

fn state_of(from: &NamedTensors, group: &str, saved: &SavedCallback) -> Result<CallbackState> {
    let tensors = taken(from, group, saved.tensors)?;
    Ok(CallbackState { values: saved.values.clone(), tensors })
}

impl Training<'_> {
    /// What layers keep from batch to batch, such as the states of stateful recurrent ones, by path.
    fn carried(&self) -> BTreeMap<String, Arc<Carried>> {
        let mut carried = BTreeMap::new();
        for layer in self.model.layers() {
            layer.walk("", &mut |path, layer, _| {
                carried.insert(format!("{CARRIED}/{path}"), layer.carried().clone());
            });
        }
        carried
    }

    /// Everything that decides how the run goes on, copied.
    pub(crate) fn snapshot(&self, conditions: Json) -> Result<CheckpointFile> {
        let mut tensors = NamedTensors::new();
        if let Ok(network) = self.model.network() {
            for weight in network.store().parameters() {
                let array = Array::from_tensor(&weight.var.as_tensor().detach())?;
                tensors.insert(format!("{WEIGHTS}/{}", weight.path), array)?;
            }
        }
        for (group, carried) in self.carried() {
            insert(&mut tensors, &group, &carried.get())?;
        }
        let compiled = self.model.compiled.as_ref();
        if let Some(optimizer) = compiled.and_then(|compiled| compiled.optimizer_state()) {
            let variables: Vec<Tensor> =
                optimizer.variables()?.into_iter().map(|(_, variable)| variable).collect();
            insert(&mut tensors, OPTIMIZER, &variables)?;
        }
        // Between epochs nothing has been accumulated.
        let metrics = if self.at.batch > 0 { self.model.metric_states()? } else { Vec::new() };
        for (index, metric) in metrics.iter().enumerate() {
            insert(&mut tensors, &format!("{METRICS}/{index}"), metric)?;
        }
        let mut callbacks = Vec::new();
        for (index, callback) in self.callbacks.iter().enumerate() {
            let group = format!("{CALLBACKS}/{index}");
            callbacks.push(saved(&mut tensors, &group, callback.name(), callback.state()?)?);
        }
        let step = match &self.own_step {
            Some(step) => Some(saved(&mut tensors, STEP, STEP, step.state()?)?),
            None => None,
        };
        let run =
            serde_json::to_value(&self.history.run).map_err(|e| Error::data(e.to_string()))?;
        let state = State {
            position: self.at.clone(),
            steps: self.step,
            counted: self.counted,
            conditions,
            run,
            metrics: metrics.iter().map(Vec::len).collect(),
            history: self.history.to_state(),
            callbacks,
            step,
        };
        Ok(CheckpointFile { state, tensors })
    }

    /// Puts the run where it was.
    pub(crate) fn restore(&mut self, file: CheckpointFile) -> Result<()> {
        let CheckpointFile { state, tensors } = file;
        let Position { epoch, .. } = state.position;
        if epoch > self.fit.epochs {
            return Err(Error::data(format!(
                "it is after epoch {epoch}, the run is to end after epoch {}",
                self.fit.epochs
            )));
        }
        if let Ok(network) = self.model.network() {
            let mut weights = NamedTensors::new();
            for (path, array) in tensors.iter() {
                if let Some(path) = path.strip_prefix(WEIGHTS).and_then(|p| p.strip_prefix('/')) {
                    weights.insert(path, array.clone())?;
                }
            }
            network::from_named(network, &weights)?;
        }
        for (group, carried) in self.carried() {
            let states = tensors.numbered(&group).into_iter();
            carried.set(states.map(|a| a.to_tensor(self.model.device())).collect::<Result<_>>()?);
        }
        if let Some(compiled) = &mut self.model.compiled
            && compiled.optimizer_state().is_some()
        {
            let variables: Vec<Tensor> = tensors
                .numbered(OPTIMIZER)
                .into_iter()
                .map(|array| array.to_tensor(&Device::Cpu))
                .collect::<Result<_>>()?;
            compiled.optimizer()?.set_variables(&variables)?;
        }
        if state.position.batch > 0 {
            let states = state.metrics.iter().enumerate();
            let states =
                states.map(|(i, count)| taken(&tensors, &format!("{METRICS}/{i}"), *count));
            self.model.restore_metrics(&states.collect::<Result<Vec<_>>>()?)?;
        }
        restore_callbacks(&mut self.callbacks, &state.callbacks, &tensors)?;
        if let (Some(step), Some(saved)) = (&mut self.own_step, &state.step) {
            step.restore(state_of(&tensors, STEP, saved)?)?;
        }
        self.history.restore(&state.history)?;
        (self.at, self.step, self.counted) = (state.position, state.steps, state.counted);
        Ok(())
    }
}

/// Each callback takes the next state of its name; one that has none (a log that was added) starts
/// afresh.
fn restore_callbacks(
    callbacks: &mut [Box<dyn Callback>],
    saved: &[SavedCallback],
    tensors: &NamedTensors,
) -> Result<()> {
    let mut left: Vec<(usize, &SavedCallback)> = saved.iter().enumerate().collect();
    for callback in callbacks {
        let Some(at) = left.iter().position(|(_, saved)| saved.name == callback.name()) else {
            continue;
        };
        let (index, saved) = left.remove(at);
        callback.restore(state_of(tensors, &format!("{CALLBACKS}/{index}"), saved)?)?;
    }
    Ok(())
}
