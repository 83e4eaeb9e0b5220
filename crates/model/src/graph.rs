//! The graph: nodes are uses of layers, edges are tensors. Sequential and functional models are both
//! one [`Graph`]; a layer used twice is one layer with two nodes, and its weights are shared.

use sconce_core::random::key_of;
use sconce_core::{Context, DType, Dims, Error, Parameter, Result, Store, Tensor, Weights};
use sconce_layers::{InputLayer, Layer};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// One layer of a graph.
pub struct LayerEntry {
    /// The layer.
    pub layer: Arc<dyn Layer>,
    /// Its unique name.
    pub name: String,
    /// The shapes it was first used with, which decide its weights.
    pub build_dims: Vec<Dims>,
    parameters: Range<usize>,
}

/// One use of a layer.
pub struct Node {
    /// Index into [`Graph::layers`].
    pub layer: usize,
    /// The edges it reads.
    pub inputs: Vec<EdgeId>,
    /// The edges it makes.
    pub outputs: Vec<EdgeId>,
    lane: u64,
    /// Edges that nothing reads after this node.
    done: Vec<EdgeId>,
}

/// A tensor between layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EdgeId(usize);

/// Layers, their uses, and what goes in and comes out. Nodes stand in an order in which they can run.
#[derive(Default)]
pub struct Graph {
    layers: Vec<LayerEntry>,
    nodes: Vec<Node>,
    edges: Vec<Dims>,
    inputs: Vec<EdgeId>,
    outputs: Vec<EdgeId>,
    names: HashMap<String, usize>,
}

impl Graph {
    /// Adds a layer under its own name, or one made from its class name (`dense`, `dense_1`), and
    /// checks its configuration.
    pub fn add(&mut self, layer: Arc<dyn Layer>) -> Result<usize> {
        let name = match &layer.base().name {
            Some(name) => name.clone(),
            None => self.free_name(&snake_case(layer.class_name())),
        };
        layer.check().map_err(|e| match e {
            Error::Config { path, message, .. } => {
                let at = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
                Error::layer(&name, format!("{at}{message}"))
            }
            other => other.in_layer(&name),
        })?;
        if name.is_empty() || name.contains('/') {
            return Err(Error::layer(&name, "a layer's name must not be empty or contain `/`"));
        }
        if self.names.contains_key(&name) {
            return Err(Error::layer(
                &name,
                "two layers have this name; names are unique in a model, rename one with `.name(...)`",
            ));
        }
        self.names.insert(name.clone(), self.layers.len());
        self.layers.push(LayerEntry { layer, name, build_dims: Vec::new(), parameters: 0..0 });
        Ok(self.layers.len() - 1)
    }

    fn free_name(&self, stem: &str) -> String {
        let numbered = (1..).map(|i| format!("{stem}_{i}"));
        std::iter::once(stem.to_string())
            .chain(numbered)
            .find(|name| !self.names.contains_key(name))
            .unwrap_or_default()
    }

    /// An input of the model. The batch size that its shape may state is no limit, as in Keras, which
    /// writes that of the first batch it saw.
    pub fn input(&mut self, layer: usize, mut dims: Dims) -> Result<EdgeId> {
        if let Some(batch) = dims.0.first_mut() {
            *batch = None;
        }
        let edge = self.edge(dims);
        self.node(layer, Vec::new(), vec![edge])?;
        self.inputs.push(edge);
        Ok(edge)
    }

    /// Uses a layer on edges; shapes are inferred, and refused with the layer's name.
    pub fn apply(&mut self, layer: usize, inputs: &[EdgeId]) -> Result<Vec<EdgeId>> {
        let dims: Vec<Dims> = inputs.iter().map(|e| self.dims(*e).clone()).collect();
        let entry = self.entry(layer)?;
        let made = entry.layer.output_dims(&dims).map_err(|e| e.in_layer(&entry.name))?;
        let outputs: Vec<EdgeId> = made.into_iter().map(|d| self.edge(d)).collect();
        self.node(layer, inputs.to_vec(), outputs.clone())?;
        if let Some(entry) = self.layers.get_mut(layer)
            && entry.build_dims.is_empty()
        {
            entry.build_dims = dims;
        }
        Ok(outputs)
    }

    /// The arrays as the input layers hand them on, in the types they declare.
    pub fn accept(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let accept = |(index, x): (usize, Tensor)| {
            let node = self.inputs.get(index).and_then(|edge| self.maker(*edge));
            match node.and_then(|node| self.layers.get(node.layer)) {
                Some(entry) if entry.layer.class_name() == InputLayer::CLASS_NAME => {
                    let (weights, mut cx) = (Weights::new(&[], false), Context::inference());
                    let made = entry.layer.call(&weights, &[x], &mut cx)?;
                    made.into_iter()
                        .next()
                        .ok_or_else(|| Error::layer(&entry.name, "has no output"))
                }
                _ => Ok(x),
            }
        };
        inputs.into_iter().enumerate().map(accept).collect()
    }

    /// The node that makes an edge.
    fn maker(&self, edge: EdgeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.outputs.contains(&edge))
    }

    /// Says in which order the inputs are given.
    pub fn set_inputs(&mut self, inputs: &[EdgeId]) {
        self.inputs = inputs.to_vec();
    }

    /// Says which edges come out.
    pub fn set_outputs(&mut self, outputs: &[EdgeId]) {
        self.outputs = outputs.to_vec();
        let mut last: HashMap<EdgeId, usize> = HashMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for edge in &node.inputs {
                last.insert(*edge, index);
            }
        }
        for (edge, index) in last {
            if let Some(node) = self.nodes.get_mut(index)
                && !outputs.contains(&edge)
            {
                node.done.push(edge);
            }
        }
    }

    fn edge(&mut self, dims: Dims) -> EdgeId {
        self.edges.push(dims);
        EdgeId(self.edges.len() - 1)
    }

    fn node(&mut self, layer: usize, inputs: Vec<EdgeId>, outputs: Vec<EdgeId>) -> Result<()> {
        let uses = self.nodes.iter().filter(|n| n.layer == layer).count() as u64;
        let lane = key_of(&self.entry(layer)?.name).wrapping_add(uses);
        self.nodes.push(Node { layer, inputs, outputs, lane, done: Vec::new() });
        Ok(())
    }

    fn entry(&self, layer: usize) -> Result<&LayerEntry> {
        self.layers
            .get(layer)
            .ok_or_else(|| Error::config("", format!("there is no layer {layer}")))
    }

    /// The shape of an edge.
    pub fn dims(&self, edge: EdgeId) -> &Dims {
        static NONE: Dims = Dims(Vec::new());
        self.edges.get(edge.0).unwrap_or(&NONE)
    }

    /// All layers, in the order they were added.
    pub fn layers(&self) -> &[LayerEntry] {
        &self.layers
    }

    /// All uses, in running order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// What goes in.
    pub fn inputs(&self) -> &[EdgeId] {
        &self.inputs
    }

    /// What comes out.
    pub fn outputs(&self) -> &[EdgeId] {
        &self.outputs
    }

    /// The shapes that go in.
    pub fn input_dims(&self) -> Vec<&Dims> {
        self.inputs.iter().map(|e| self.dims(*e)).collect()
    }

    /// The names of the layers that make the inputs.
    pub fn input_names(&self) -> Vec<&str> {
        self.inputs.iter().map(|edge| self.name_of(*edge)).collect()
    }

    /// The names of the layers that make the outputs.
    pub fn output_names(&self) -> Vec<&str> {
        self.outputs.iter().map(|edge| self.name_of(*edge)).collect()
    }

    /// The shapes that come out.
    pub fn output_dims(&self) -> Vec<&Dims> {
        self.outputs.iter().map(|e| self.dims(*e)).collect()
    }

    /// A layer's weights.
    pub fn parameters<'a>(&self, layer: usize, store: &'a Store) -> &'a [Parameter] {
        let range = self.layers.get(layer).map_or(0..0, |e| e.parameters.clone());
        store.parameters().get(range).unwrap_or(&[])
    }

    /// Declares every layer's weights in the store and draws their first values.
    pub fn build(&mut self, store: &mut Store, seed: u64) -> Result<()> {
        for entry in &mut self.layers {
            let start = store.parameters().len();
            let specs =
                entry.layer.weights(&entry.build_dims).map_err(|e| e.in_layer(&entry.name))?;
            for spec in specs {
                let trainable = entry.layer.base().trainable;
                store
                    .add(&entry.name, spec, trainable, seed)
                    .map_err(|e| e.in_layer(&entry.name))?;
            }
            entry.parameters = start..store.parameters().len();
        }
        Ok(())
    }

    /// Runs the graph. `observe(layer name, outputs)` sees every layer's outputs.
    pub fn forward(
        &self,
        store: &Store,
        inputs: &[Tensor],
        cx: &mut Context,
        mut observe: impl FnMut(&str, &[Tensor]) -> Result<()>,
    ) -> Result<Vec<Tensor>> {
        let mut values: Vec<Option<Tensor>> = vec![None; self.edges.len()];
        for (edge, dims, tensor) in self.match_inputs(inputs)? {
            if !dims.fits(tensor.dims()) {
                return Err(Error::data(format!(
                    "the input of `{}` has shape {:?}, the model takes {dims}",
                    self.name_of(edge),
                    tensor.dims()
                )));
            }
            set(&mut values, edge, tensor.clone());
        }
        let mut taken = Vec::new();
        for node in self.nodes.iter().filter(|n| !n.inputs.is_empty()) {
            let entry = self.entry(node.layer)?;
            taken.clear();
            for edge in &node.inputs {
                let value = values.get(edge.0).and_then(Option::clone);
                taken.push(value.ok_or_else(|| {
                    Error::layer(
                        &entry.name,
                        "runs before one of its inputs; the graph is not in order",
                    )
                })?);
            }
            cx.enter(node.lane);
            let weights = Weights::new(self.parameters(node.layer, store), cx.slots());
            let outputs =
                entry.layer.call(&weights, &taken, cx).map_err(|e| e.in_layer(&entry.name))?;
            if let Some(regularizer) = &entry.layer.base().activity_regularizer {
                for output in &outputs {
                    // Keras divides by the batch size, so that the strength does not depend on it.
                    let rows = output.dims().first().copied().unwrap_or(1).max(1) as f64;
                    cx.add_loss((regularizer.get()?.penalty(output)? / rows)?);
                }
            }
            observe(&entry.name, &outputs)?;
            for (edge, output) in node.outputs.iter().zip(outputs) {
                set(&mut values, *edge, output);
            }
            for edge in &node.done {
                if let Some(value) = values.get_mut(edge.0) {
                    *value = None;
                }
            }
        }
        let missing = || Error::config("", "an output of the model is not made by any layer");
        self.outputs
            .iter()
            .map(|e| values.get(e.0).and_then(Option::clone).ok_or_else(missing))
            .collect()
    }

    fn match_inputs<'a>(
        &'a self,
        inputs: &'a [Tensor],
    ) -> Result<impl Iterator<Item = (EdgeId, &'a Dims, &'a Tensor)>> {
        if inputs.len() != self.inputs.len() {
            return Err(Error::data(format!(
                "the model takes {} input arrays, got {}",
                self.inputs.len(),
                inputs.len()
            )));
        }
        Ok(self.inputs.iter().zip(inputs).map(|(e, t)| (*e, self.dims(*e), t)))
    }

    fn name_of(&self, edge: EdgeId) -> &str {
        let node = self.maker(edge);
        node.and_then(|n| self.layers.get(n.layer)).map_or("input", |e| e.name.as_str())
    }

    /// Whether what comes out are probabilities, following layers that only pass values on.
    pub fn outputs_probabilities(&self, output: usize) -> bool {
        let mut edge = self.outputs.get(output).copied();
        while let Some(current) = edge {
            let Some(node) = self.maker(current) else { return false };
            let Some(entry) = self.layers.get(node.layer) else { return false };
            match entry.layer.outputs_probabilities() {
                Some(answer) => return answer,
                None => edge = node.inputs.first().copied(),
            }
        }
        false
    }
}

fn set(values: &mut [Option<Tensor>], edge: EdgeId, tensor: Tensor) {
    if let Some(slot) = values.get_mut(edge.0) {
        *slot = Some(tensor);
    }
}

/// Keras's `to_snake_case`: "InputLayer" to "input_layer", "Conv2D" to "conv2d".
pub fn snake_case(class_name: &str) -> String {
    let chars: Vec<char> =
        class_name.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| chars.get(i));
        let after = chars.get(i + 1);
        let starts_word = c.is_uppercase()
            && before.is_some_and(|b| b.is_lowercase() || after.is_some_and(|a| a.is_lowercase()));
        if starts_word {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// The input type a model's float inputs are given in.
pub const FLOAT: DType = DType::F32;
