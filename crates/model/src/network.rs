//! A model with weights: it runs, and knows nothing of training.

use crate::architecture::Architecture;
use crate::graph::Graph;
use crate::summary::summary;
use sconce_core::finite::{is_finite, non_finite_rows};
use sconce_core::{
    Context, Device, Error, FirstValues, Json, Parameter, Result, Spec, Store, Tensor, Value,
};
use sconce_layers::call::Observe;
use sconce_layers::{BuildOptions, Scope};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A graph and its weights, which clones share.
#[derive(Clone)]
pub struct Network {
    architecture: Architecture,
    graph: Arc<Graph>,
    store: Store,
    device: Device,
}

impl Network {
    /// Builds the graph of an architecture and makes the weights that its layers do not have yet.
    /// `input` is what the data is, used where the architecture states nothing.
    pub fn build(
        architecture: &Architecture,
        input: Option<&Spec>,
        device: &Device,
        first: FirstValues,
    ) -> Result<Self> {
        let graph = architecture.graph(input)?;
        graph.build(BuildOptions { device, first })?;
        let store = graph.store()?;
        Ok(Self { architecture: architecture.clone(), graph, store, device: device.clone() })
    }

    /// The architecture it was built from.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Its graph.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// Its weights.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Takes into account which layers are trainable now.
    pub fn refresh_trainable(&mut self) -> Result<()> {
        self.store = self.graph.store()?;
        Ok(())
    }

    /// Where its weights live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Runs the model on input arrays, in the order of its inputs.
    pub fn forward(&self, inputs: &[Tensor], cx: &mut Context) -> Result<Vec<Tensor>> {
        let outputs = self.forward_masked(inputs, cx)?;
        Ok(outputs.into_iter().map(|value| value.tensor).collect())
    }

    /// As [`Network::forward`], with the masks of the outputs.
    pub fn forward_masked(&self, inputs: &[Tensor], cx: &mut Context) -> Result<Vec<Value>> {
        let inputs = inputs.iter().cloned().map(Value::from).collect();
        self.graph.run(inputs, &mut Scope::new(cx, None))
    }

    /// As [`Network::forward_masked`]; `observe` sees the outputs of every layer, with its path.
    pub fn forward_observed<'a>(
        &self,
        inputs: &[Tensor],
        cx: &'a mut Context,
        observe: &'a mut Observe<'a>,
    ) -> Result<Vec<Value>> {
        let inputs = inputs.iter().cloned().map(Value::from).collect();
        self.graph.run(inputs, &mut Scope::new(cx, Some(observe)))
    }

    /// The path of the first layer whose output has a value that is not finite, and the samples of the
    /// batch that have one.
    pub fn first_non_finite(
        &self,
        inputs: &[Tensor],
        cx: &mut Context,
    ) -> Result<Option<(String, Vec<usize>)>> {
        let samples = inputs.first().and_then(|x| x.dims().first().copied());
        let mut first = None;
        let mut observe = |path: &str, outputs: &[Value]| {
            for Value { tensor, .. } in outputs {
                if first.is_none() && !is_finite(tensor)? {
                    let by_sample = tensor.dims().first().copied() == samples;
                    let rows = if by_sample { non_finite_rows(tensor)? } else { Vec::new() };
                    first = Some((path.to_string(), rows));
                }
            }
            Ok(())
        };
        let inputs = inputs.iter().cloned().map(Value::from).collect();
        self.graph.run(inputs, &mut Scope::new(cx, Some(&mut observe)))?;
        Ok(first)
    }

    /// The paths of the weights with a value that is not finite.
    pub fn non_finite_weights(&self) -> Result<Vec<&str>> {
        let mut paths = Vec::new();
        for weight in self.store.parameters() {
            if !is_finite(weight.var.as_tensor())? {
                paths.push(weight.path.as_str());
            }
        }
        Ok(paths)
    }

    /// How long each layer takes for input arrays, layers inside it included: those used several times
    /// stand as often.
    pub fn layer_times(
        &self,
        inputs: &[Tensor],
        cx: &mut Context,
    ) -> Result<Vec<(String, Duration)>> {
        let mut times = Vec::new();
        let mut last = Instant::now();
        let mut observe = |path: &str, _: &[Value]| {
            // The layers inside one end before it does.
            if !path.contains('/') {
                let now = Instant::now();
                times.push((path.to_string(), now - last));
                last = now;
            }
            Ok(())
        };
        let inputs = inputs.iter().cloned().map(Value::from).collect();
        self.graph.run(inputs, &mut Scope::new(cx, Some(&mut observe)))?;
        Ok(times)
    }

    /// Keras's JSON of the model.
    pub fn to_json(&self) -> Result<Json> {
        self.architecture.to_json(Some(&self.graph))
    }

    /// The table of layers, shapes and numbers of weights, `width` columns wide at most.
    pub fn summary(&self, width: usize) -> String {
        summary(self, width)
    }

    /// Replaces the weight at a path.
    pub fn set_weight(&self, path: &str, value: &Tensor) -> Result<()> {
        self.store.get(path)?.set(value)
    }

    /// Replaces all weights, in order; nothing changes if one does not fit.
    pub fn set_weights(&self, values: &[Tensor]) -> Result<()> {
        let parameters = self.store.parameters();
        if values.len() != parameters.len() {
            return Err(Error::data(format!(
                "the model has {} weights, got {}",
                parameters.len(),
                values.len()
            )));
        }
        for (parameter, value) in parameters.iter().zip(values) {
            if value.dims() != parameter.var.dims() {
                return Err(Error::data(format!(
                    "weight `{}` has shape {:?}, got {:?}",
                    parameter.path,
                    parameter.var.dims(),
                    value.dims()
                )));
            }
        }
        parameters.iter().zip(values).try_for_each(|(p, v)| p.set(v))
    }

    /// Copies of all weights, in order.
    pub fn get_weights(&self) -> Result<Vec<Tensor>> {
        let copy = |p: &Parameter| Ok(p.var.as_tensor().detach().force_contiguous()?);
        self.store.parameters().iter().map(copy).collect()
    }
}
