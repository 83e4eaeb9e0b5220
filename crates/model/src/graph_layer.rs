//! A model as a layer of another model.

use crate::architecture::Architecture;
use crate::graph::Graph;
use sconce_core::{Arg, Args, Error, Json, Result, Spec, Tensor, Value};
use sconce_layers::{Call, Child, Configured, Layer, LayerEntry, Options};
use std::sync::{Arc, OnceLock};

/// A model as a layer. Its layers are those of the model: their weights are shared with it.
pub struct GraphLayer {
    architecture: Architecture,
    /// A Sequential that does not state its input gets its graph with its first call.
    graph: OnceLock<Arc<Graph>>,
}

impl GraphLayer {
    /// Of an architecture.
    pub fn new(architecture: Architecture) -> Self {
        Self { architecture, graph: OnceLock::new() }
    }

    /// Of an architecture whose graph is made already.
    pub fn of_graph(architecture: Architecture, graph: Arc<Graph>) -> Self {
        Self { architecture, graph: OnceLock::from(graph) }
    }

    /// The layer to use in other models, named as the model.
    pub fn entry(self) -> LayerEntry {
        let options = Options {
            name: self.architecture.given_name().map(str::to_string),
            trainable: self.architecture.is_trainable(),
            ..Options::default()
        };
        LayerEntry::new(Arc::new(self), options)
    }

    /// How the model is stated.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Its graph; `None` before the shape of its input is known.
    pub fn graph(&self) -> Option<&Arc<Graph>> {
        self.graph.get()
    }

    fn graph_for(&self, x: &Args<Spec>) -> Result<&Arc<Graph>> {
        if self.graph.get().is_none() {
            let graph = self.architecture.graph(x.flat().first().copied())?;
            // Of two threads that come here at the same time, the first one's graph stays.
            let _ = self.graph.set(graph);
        }
        self.graph.get().ok_or_else(|| Error::config("", "the model has no graph"))
    }
}

/// Which of the tensors that a model is called with goes where: a dict goes by the names of the inputs.
fn input_order<T>(graph: &Graph, args: &Args<T>) -> Result<Vec<usize>> {
    let Some(Arg::Dict(dict)) = args.at(0, "inputs") else {
        return Ok((0..args.flat().len()).collect());
    };
    let names = graph.input_names();
    if let Some((name, _)) = dict.iter().find(|(name, _)| !names.contains(&name.as_str())) {
        let message = sconce_core::registry::unknown("input", name, names);
        return Err(Error::layer("", message));
    }
    let place = |name: &&str| {
        let place = dict.iter().position(|(other, arg)| other == name && arg.one().is_some());
        place.ok_or_else(|| Error::layer("", format!("the input `{name}` is missing")))
    };
    names.iter().map(place).collect()
}

impl Configured for GraphLayer {
    fn class_name(&self) -> &'static str {
        self.architecture.class_name()
    }

    fn config(&self) -> Result<Json> {
        let json = self.architecture.to_json(self.graph().map(Arc::as_ref))?;
        Ok(json.get("config").cloned().unwrap_or_default())
    }

    fn module(&self) -> Option<&'static str> {
        Some(self.architecture.module())
    }
}

impl Layer for GraphLayer {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let graph = self.graph_for(x)?;
        let given = x.flat();
        let order = input_order(graph, x)?.into_iter();
        let inputs: Vec<Spec> = order.filter_map(|i| given.get(i).copied().cloned()).collect();
        graph.infer(&inputs)
    }

    fn children(&self) -> Vec<Child<'_>> {
        match self.graph() {
            Some(graph) => vec![Child::Many("layers", graph.layers().iter().collect())],
            None => Vec::new(),
        }
    }

    fn with_children(&self, children: Vec<LayerEntry>) -> Result<Arc<dyn Layer>> {
        let graph = self.graph().ok_or_else(|| Error::config("", "the model has no graph"))?;
        let architecture = self.architecture.with_layers(children.clone());
        Ok(Arc::new(Self::of_graph(architecture, Arc::new(graph.with_layers(children)))))
    }

    fn child_inputs(&self, child: &LayerEntry, _: &Args<Spec>) -> Result<Args<Spec>> {
        let graph = self.graph().ok_or_else(|| Error::config("", "the model has no graph"))?;
        match graph.layers().iter().position(|entry| entry.is(child)) {
            Some(layer) => graph.build_args(layer),
            None => Err(Error::layer(child.name(), "is no layer of this model")),
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let graph = self.graph().ok_or_else(|| Error::layer("", "was not built"))?.clone();
        let given = call.args().flat();
        let input = |i: usize| {
            let tensor = given.get(i)?.tensor.clone();
            Some(Value { tensor, mask: call.mask(i).cloned() })
        };
        let inputs = input_order(&graph, call.args())?.into_iter().filter_map(input).collect();
        let inputs = graph.cast_values(inputs)?;
        let outputs = graph.run(inputs, call.scope())?;
        call.set_masks(outputs.iter().map(|value| value.mask.clone()).collect());
        Ok(outputs.into_iter().map(|value| value.tensor).collect())
    }

    fn supports_masking(&self) -> bool {
        true
    }

    /// Its own input layers say which type they take.
    fn casts_integers(&self) -> bool {
        false
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        Some(self.graph().is_some_and(|graph| graph.outputs_probabilities(0)))
    }
}
