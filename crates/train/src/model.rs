//! The model as users hold it: an architecture, its weights once they exist, and what `compile` gave.

use crate::compile::Compile;
use crate::compiled::Compiled;
use crate::history::Logs;
use crate::losses::LossFn;
use crate::optimizers::Optimizer;
use crate::per_output::IntoPerOutput;
use crate::step_logs::StepLogs;
use sconce_core::{
    Context, Device, Dims, Error, FirstValues, GradientSink, Gradients, Json, Result, Spec, Store,
    Tape, Tensor,
};
use sconce_data::{CsvColumns, messages::listed};
use sconce_layers::LayerEntry;
use sconce_model::{Architecture, Graph, GraphLayer, Network, SymbolicTensor};
use sconce_saving::keras_json;
use sconce_saving::network::is_supported;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

/// A model that can be compiled, trained, evaluated and saved.
pub struct Model {
    architecture: Architecture,
    network: Option<Network>,
    pub(crate) compiled: Option<Compiled>,
    device: Device,
    seed: u64,
    run_seed: u64,
    /// The buffers of gradients, which every step writes anew.
    sink: GradientSink,
    /// What a step records on; empty between steps.
    tape: Tape,
    /// The values of a training step of the user's own, while it is at work.
    pub(crate) step_logs: Option<StepLogs>,
    /// The model as a layer of others, once it was used as one.
    entry: OnceLock<LayerEntry>,
    /// The columns of the CSV file that it was trained on.
    csv_columns: Option<CsvColumns>,
}

/// What a step works on.
pub(crate) struct Parts<'a> {
    pub network: &'a mut Network,
    pub compiled: &'a mut Compiled,
    pub sink: &'a mut GradientSink,
    pub tape: &'a Tape,
}

impl Model {
    /// The model between symbolic tensors (Keras's functional models): `Model::new([&x], [&y])`.
    ///
    /// # Errors
    /// Outputs that depend on other inputs, two layers of one name.
    pub fn new<I, O>(
        inputs: impl IntoIterator<Item = I>,
        outputs: impl IntoIterator<Item = O>,
    ) -> Result<Self>
    where
        I: AsRef<SymbolicTensor>,
        O: AsRef<SymbolicTensor>,
    {
        Ok(Self::of(Architecture::functional(inputs, outputs)?))
    }

    /// A model of an architecture. Weights are drawn when the shape of the input is known: at once,
    /// if the architecture states it, when `compile`, `build` or `fit` is called.
    pub fn of(architecture: Architecture) -> Self {
        Self {
            architecture,
            network: None,
            compiled: None,
            device: Device::Cpu,
            seed: 0,
            run_seed: 0,
            sink: GradientSink::default(),
            tape: Tape::default(),
            step_logs: None,
            entry: OnceLock::new(),
            csv_columns: None,
        }
    }

    /// A model with weights.
    pub fn from_network(network: Network) -> Self {
        let mut model = Self::of(network.architecture().clone());
        model.device = network.device().clone();
        model.network = Some(network);
        model
    }

    /// Reads Keras's JSON of a model. Keys left out take Keras's defaults.
    ///
    /// # Errors
    /// With the JSON path of what is unknown or wrong, and the nearest known name.
    pub fn from_json(json: &str) -> Result<Self> {
        let value: Json = keras_json::parse(json.as_bytes())
            .map_err(|e| Error::config("", keras_json::explain_syntax(&e)))?;
        Self::from_json_value(&value)
    }

    pub(crate) fn from_json_value(value: &Json) -> Result<Self> {
        let architecture = Architecture::from_json(value)
            .map_err(|first| keras_json::explain(value, &is_supported, first))?;
        Ok(Self::of(architecture))
    }

    /// Keras's JSON of the model.
    pub fn to_json(&self) -> Result<String> {
        let graph = self.network.as_ref().map(|network| network.graph().as_ref());
        let json = self.architecture.to_json(graph)?;
        serde_json::to_string_pretty(&json).map_err(|e| Error::config("", e.to_string()))
    }

    /// Names the model: as a layer of others, and in files.
    pub fn set_name(&mut self, name: &str) {
        self.architecture.set_name(name);
    }

    /// The graph of its layers, made already or stated.
    fn graph(&self) -> Result<Arc<Graph>> {
        match &self.network {
            Some(network) => Ok(network.graph().clone()),
            None => self.architecture.graph(None),
        }
    }

    /// The model as a layer of other models: its layers and weights are shared with them.
    /// `(&model).apply(&x)` does this by itself.
    pub fn entry(&self) -> LayerEntry {
        let entry = self.entry.get_or_init(|| {
            let architecture = self.architecture.clone();
            match self.graph() {
                Ok(graph) => GraphLayer::of_graph(architecture, graph).entry(),
                Err(_) => GraphLayer::new(architecture).entry(),
            }
        });
        entry.clone()
    }

    /// Its layers, in order; none if the shape of its input is not known yet.
    pub fn layers(&self) -> Vec<LayerEntry> {
        self.graph().map_or_else(|_| Vec::new(), |graph| graph.layers().to_vec())
    }

    /// The layer of a name.
    ///
    /// # Errors
    /// With the nearest name.
    pub fn get_layer(&self, name: &str) -> Result<LayerEntry> {
        self.graph()?.find(name).cloned()
    }

    /// Sets the states of stateful recurrent layers to zeros, before sequences that have nothing to do with
    /// the last batch.
    pub fn reset_states(&self) {
        self.layers().iter().for_each(LayerEntry::reset_states);
    }

    /// Freezes (`false`) or thaws all layers. Takes effect when the model is compiled next, as in
    /// Keras.
    pub fn set_trainable(&self, trainable: bool) {
        self.layers().iter().for_each(|layer| layer.set_trainable(trainable));
    }

    /// Its inputs as symbolic tensors, to build other models on its layers.
    pub fn inputs(&self) -> Result<Vec<SymbolicTensor>> {
        let graph = self.graph()?;
        graph.inputs().iter().map(|edge| graph.symbol(*edge)).collect()
    }

    /// Its outputs as symbolic tensors, to build other models on its layers.
    pub fn outputs(&self) -> Result<Vec<SymbolicTensor>> {
        let graph = self.graph()?;
        graph.outputs().iter().map(|edge| graph.symbol(*edge)).collect()
    }

    /// What a layer makes at its first use, as symbolic tensors: for models of inner tensors, such as
    /// `Model::new(model.inputs()?, model.layer_outputs("fc1")?)`.
    ///
    /// # Errors
    /// With the nearest name.
    pub fn layer_outputs(&self, name: &str) -> Result<Vec<SymbolicTensor>> {
        let graph = self.graph()?;
        let entry = graph.find(name)?;
        let node = graph.nodes().iter().find(|node| graph.layers()[node.layer].is(entry));
        let edges = node.map(|node| node.outputs.as_slice()).unwrap_or_default();
        edges.iter().map(|edge| graph.symbol(*edge)).collect()
    }

    /// The seed of the weights' first values. Default 0, so that a program repeats.
    pub fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// The seed of shuffling and dropout of the last or current run.
    pub fn run_seed(&self) -> u64 {
        self.run_seed
    }

    pub(crate) fn set_run_seed(&mut self, seed: u64) {
        self.run_seed = seed;
    }

    /// An independent copy: the same layers with weights of their own, compiled alike, with the
    /// optimizer's variables. Keras's `clone_model`, weights included.
    ///
    /// # Errors
    /// A layer of your own that holds others and cannot be given new ones.
    pub fn duplicate(&self) -> Result<Self> {
        let architecture = self.architecture.duplicate()?;
        let mut copy = Self { architecture, ..self.clone() };
        copy.network = None;
        if let Some(network) = &self.network {
            let graph = network.graph();
            let input = graph.inputs().first().map(|edge| graph.spec(*edge));
            copy.build_for(input, FirstValues::Zeros)?;
            copy.network()?.set_weights(&network.get_weights()?)?;
        }
        if let Some(compiled) = &self.compiled {
            copy.compile_with(compiled.compile().clone())?;
            if let Some(state) = compiled.optimizer_state() {
                let variables: Vec<Tensor> =
                    state.variables()?.into_iter().map(|(_, variable)| variable).collect();
                copy.compiled_mut()?.optimizer()?.set_variables(&variables)?;
            }
        }
        Ok(copy)
    }

    /// The learning rate of the next update.
    ///
    /// # Errors
    /// If the model is not compiled and built.
    pub fn learning_rate(&mut self) -> Result<f64> {
        Ok(self.compiled_mut()?.optimizer()?.learning_rate())
    }

    /// Sets the learning rate from the next update on.
    ///
    /// # Errors
    /// If the model is not compiled and built; if its optimizer follows a schedule.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        self.compiled_mut()?.optimizer()?.set_learning_rate(rate)
    }

    /// The device to run on. Weights that exist already stay where they are, so call it first.
    pub fn set_device(&mut self, device: &Device) {
        self.device = device.clone();
    }

    /// The device the model runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The architecture.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    pub(crate) fn architecture_mut(&mut self) -> &mut Architecture {
        &mut self.architecture
    }

    /// Draws the weights for float inputs of this shape (with the batch axis), unless they exist.
    pub fn build(&mut self, input: &Dims) -> Result<()> {
        self.build_for(Some(&Spec::float(input.clone())), FirstValues::Seed(self.seed))
    }

    pub(crate) fn build_for(&mut self, input: Option<&Spec>, first: FirstValues) -> Result<()> {
        if self.network.is_none() {
            self.network = Some(Network::build(&self.architecture, input, &self.device, first)?);
        }
        Ok(())
    }

    /// The seed of the weights' first values.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Draws the weights if the architecture states the shape of its input.
    pub(crate) fn build_if_stated(&mut self) -> Result<()> {
        if self.network.is_none() && self.architecture.states_its_input() {
            self.build_for(None, FirstValues::Seed(self.seed))?;
        }
        Ok(())
    }

    /// The graph and its weights.
    ///
    /// # Errors
    /// If the shape of the input is not known yet.
    pub fn network(&self) -> Result<&Network> {
        self.network.as_ref().ok_or_else(|| not_built(&self.architecture))
    }

    /// The graph and its weights, to change them.
    ///
    /// # Errors
    /// If the shape of the input is not known yet.
    pub fn network_mut(&mut self) -> Result<&mut Network> {
        self.network.as_mut().ok_or_else(|| not_built(&self.architecture))
    }

    /// The weights.
    ///
    /// # Errors
    /// If the shape of the input is not known yet.
    pub fn store(&self) -> Result<&Store> {
        Ok(self.network()?.store())
    }

    /// Sets how the model learns.
    pub fn compile<M>(
        &mut self,
        optimizer: impl Into<Optimizer>,
        loss: impl IntoPerOutput<LossFn, M>,
    ) -> Result<()> {
        self.compile_with(Compile::new(optimizer, loss))
    }

    /// Sets how the model learns, with everything else Keras's `compile` takes.
    pub fn compile_with(&mut self, compile: Compile) -> Result<()> {
        self.build_if_stated()?;
        self.compiled = Some(Compiled::new(compile)?);
        if let Some(network) = &mut self.network {
            network.refresh_trainable()?;
        }
        if let (Some(network), Some(compiled)) = (&self.network, &mut self.compiled) {
            compiled.bind(network)?;
        }
        Ok(())
    }

    /// What `compile` gave.
    ///
    /// # Errors
    /// If `compile` was not called.
    pub fn compiled(&self) -> Result<&Compiled> {
        self.compiled.as_ref().ok_or_else(not_compiled)
    }

    /// What `compile` gave, to change it.
    ///
    /// # Errors
    /// If `compile` was not called.
    pub fn compiled_mut(&mut self) -> Result<&mut Compiled> {
        self.compiled.as_mut().ok_or_else(not_compiled)
    }

    /// Loss and metrics so far: of the epoch, or of its validation during that.
    pub(crate) fn logs(&self) -> Result<Logs> {
        match &self.step_logs {
            Some(logs) => logs.result(),
            None => self.compiled()?.logs(),
        }
    }

    /// What loss and metrics have accumulated in the running epoch.
    pub(crate) fn metric_states(&self) -> Result<Vec<Vec<Tensor>>> {
        match &self.step_logs {
            Some(logs) => logs.states(),
            None => self.compiled()?.metric_states(),
        }
    }

    /// Takes back what [`Model::metric_states`] gave.
    pub(crate) fn restore_metrics(&mut self, states: &[Vec<Tensor>]) -> Result<()> {
        match &mut self.step_logs {
            Some(logs) => logs.restore(states),
            None => self.compiled_mut()?.restore_metrics(states),
        }
    }

    /// Refuses weights that are not finite, since a model or checkpoint of them is of no use. `when`
    /// begins the message.
    pub(crate) fn check_finite_weights(&self, when: &str) -> Result<()> {
        let Some(network) = &self.network else { return Ok(()) };
        match network.non_finite_weights()?.as_slice() {
            [] => Ok(()),
            paths => Err(Error::training(format!(
                "{when} these weights are not finite: {}; the last updates were too large. Try a \
                 smaller learning rate, or clipnorm",
                paths.join(", ")
            ))),
        }
    }

    /// The network and what `compile` gave, both to work on.
    pub(crate) fn parts(&mut self) -> Result<Parts<'_>> {
        match (&mut self.network, &mut self.compiled) {
            (None, _) => Err(not_built(&self.architecture)),
            (_, None) => Err(not_compiled()),
            (Some(network), Some(compiled)) => {
                Ok(Parts { network, compiled, sink: &mut self.sink, tape: &self.tape })
            }
        }
    }

    /// The network to read, and what `compile` gave to change.
    pub(crate) fn network_and_compiled(&mut self) -> Result<(&Network, &mut Compiled)> {
        match (&self.network, &mut self.compiled) {
            (None, _) => Err(not_built(&self.architecture)),
            (_, None) => Err(not_compiled()),
            (Some(network), Some(compiled)) => Ok((network, compiled)),
        }
    }

    /// Runs the model on one input for a loop of your own: the result is part of candle's graph.
    /// `cx` says whether this is training ([`Context::training`]) or not ([`Context::inference`]).
    pub fn forward(&self, x: &Tensor, cx: &mut Context) -> Result<Tensor> {
        let outputs = self.network()?.forward(std::slice::from_ref(x), cx)?;
        outputs.into_iter().next().ok_or_else(|| Error::config("", "the model has no output"))
    }

    /// Differentiates a scalar loss with respect to every trainable weight.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients> {
        self.store()?.backward(loss)
    }

    /// The columns of the CSV file that the model was trained on: what its input and its classes
    /// stand for. A `.keras` file keeps them.
    pub fn csv_columns(&self) -> Option<&CsvColumns> {
        self.csv_columns.as_ref()
    }

    /// States the columns that the input and the classes stand for.
    pub fn set_csv_columns(&mut self, columns: Option<CsvColumns>) {
        self.csv_columns = columns;
    }

    /// The table of layers, shapes and numbers of weights, and the columns of the CSV file that it
    /// was trained on.
    pub fn summary(&self) -> Result<String> {
        let mut summary = self.network()?.summary(80);
        if let Some(CsvColumns { target, classes, features }) = &self.csv_columns {
            let mut line = |what: &str, names: &[String]| {
                summary.push_str(&format!(" {what}: {}\n", listed(names)));
            };
            line("Columns of the input", features.as_deref().unwrap_or_default());
            line("Target", std::slice::from_ref(target));
            if let Some(classes) = classes {
                line("Classes", classes);
            }
        }
        Ok(summary)
    }
}

/// The same layers and weights, not compiled: what trains one of the two changes both, as with clones of
/// layers. [`Model::duplicate`] makes a model of its own.
impl Clone for Model {
    fn clone(&self) -> Self {
        Self {
            network: self.network.clone(),
            device: self.device.clone(),
            seed: self.seed,
            run_seed: self.run_seed,
            csv_columns: self.csv_columns.clone(),
            ..Self::of(self.architecture.clone())
        }
    }
}

impl From<&Model> for LayerEntry {
    fn from(model: &Model) -> Self {
        model.entry()
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weights = self.network.as_ref().map(|network| network.store().parameters());
        f.debug_struct("Model")
            .field("device", &self.device)
            .field("weights", &weights)
            .field("compiled", &self.compiled.is_some())
            .finish_non_exhaustive()
    }
}

fn not_built(architecture: &Architecture) -> Error {
    let message = match architecture.states_its_input() {
        true => "the model has no weights yet: compile it, or call `build` or `fit` first",
        false => {
            "the model has no weights yet, since the shape of its input is not known: give the first layer \
             `.input_shape([..])`, or call `build` or `fit` first"
        }
    };
    Error::config("", message)
}

fn not_compiled() -> Error {
    Error::training("the model is not compiled: call `model.compile(optimizer, loss)` first")
}

/// A stack of layers, each fed by the one before it. Everything a [`Model`] does, it does.
#[derive(Clone, Debug)]
pub struct Sequential(Model);

impl Sequential {
    /// An empty stack.
    pub fn new() -> Self {
        Self(Model::of(Architecture::sequential()))
    }

    /// Adds a layer on top.
    #[allow(clippy::should_implement_trait)] // Keras's name; layers are not numbers.
    pub fn add(mut self, layer: impl Into<LayerEntry>) -> Self {
        // Only a functional architecture refuses layers, and this one is sequential.
        let _ = self.0.architecture_mut().add(layer);
        self
    }

    /// Names the model.
    pub fn name(mut self, name: &str) -> Self {
        self.0.architecture_mut().set_name(name);
        self
    }

    /// Sets the seed of the weights' first values. Default 0, so that a program repeats.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.set_seed(seed);
        self
    }

    /// Sets the device to run on. Default: the CPU.
    pub fn device(mut self, device: &Device) -> Self {
        self.0.set_device(device);
        self
    }

    /// Reads Keras's JSON of a Sequential model. Keys left out take Keras's defaults.
    ///
    /// # Errors
    /// With the JSON path of what is unknown or wrong, and the nearest known name.
    pub fn from_json(json: &str) -> Result<Self> {
        Model::from_json(json).map(Self)
    }

    /// The model inside.
    pub fn into_model(self) -> Model {
        self.0
    }
}

impl Default for Sequential {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Sequential {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.0
    }
}

impl DerefMut for Sequential {
    fn deref_mut(&mut self) -> &mut Model {
        &mut self.0
    }
}
