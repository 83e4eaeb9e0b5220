//! The graph: nodes are uses of layers, edges are tensors. Sequential and functional models are both
//! one [`Graph`]; a layer used twice is one layer with two nodes, and its weights are shared.

use crate::layer_order::{Call, functional_order};
use crate::symbolic::SymbolicTensor;
use sconce_core::names::snake_case;
use sconce_core::random::key_of;
use sconce_core::{Arg, Args, DType, Dims, Error, Json, Result, Spec, Store, Tensor, Value};
use sconce_layers::{BuildOptions, Following, InputLayer, LayerEntry, Scope};
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

/// One use of a layer.
#[derive(Clone, Debug)]
pub struct Node {
    /// Index into [`Graph::layers`].
    pub layer: usize,
    /// What it is called with.
    pub args: Args<EdgeId>,
    /// The edges it makes.
    pub outputs: Vec<EdgeId>,
    /// Which use of its layer it is, from 0.
    pub use_index: usize,
    /// Names its random stream.
    stream_key: u64,
    /// Edges that no later node reads.
    last_use: Vec<EdgeId>,
    /// The node that alone reads its only output, once.
    only_reader: Option<usize>,
}

/// A tensor between layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EdgeId(usize);

#[derive(Clone, Debug)]
struct Edge {
    spec: Spec,
    /// The node that makes it, and which of its outputs it is.
    producer: (usize, usize),
}

/// Layers, their uses, and what goes in and comes out. Nodes stand in an order in which they can run.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    layers: Vec<LayerEntry>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    inputs: Vec<EdgeId>,
    outputs: Vec<EdgeId>,
    /// The keys of inputs and outputs that were stated as a dict.
    input_keys: Option<Vec<String>>,
    output_keys: Option<Vec<String>>,
    names: HashMap<String, usize>,
    reserved: HashSet<String>,
    /// The tensors as symbolic ones, once somebody asked.
    symbols: OnceLock<HashMap<EdgeId, SymbolicTensor>>,
}

impl Graph {
    /// An empty graph. Names made for layers are none of those that `layers` were given.
    pub fn reserving<'a>(layers: impl IntoIterator<Item = &'a LayerEntry>) -> Self {
        let given = layers.into_iter().filter_map(LayerEntry::given_name);
        Self { reserved: given.map(str::to_string).collect(), ..Self::default() }
    }

    /// Adds a layer under its own name, or one made from its class name (`dense`, `dense_1`), and
    /// checks its configuration.
    pub fn add(&mut self, entry: &LayerEntry) -> Result<usize> {
        if let Some(index) = self.layers.iter().position(|other| other.is(entry)) {
            return Ok(index);
        }
        let name = match entry.given_name() {
            Some(name) => name.to_string(),
            None => entry.set_name(&self.free_name(&snake_case(entry.class_name()))).to_string(),
        };
        let layer = entry.layer();
        layer.check_ranges().and_then(|()| layer.check()).map_err(|e| match e {
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
        self.names.insert(name, self.layers.len());
        self.layers.push(entry.clone());
        Ok(self.layers.len() - 1)
    }

    fn free_name(&self, stem: &str) -> String {
        let numbered = (1..).map(|i| format!("{stem}_{i}"));
        std::iter::once(stem.to_string())
            .chain(numbered)
            .find(|name| !self.names.contains_key(name) && !self.reserved.contains(name))
            .unwrap_or_default()
    }

    /// An input of the model, made by an input layer.
    pub fn input(&mut self, layer: usize) -> Result<EdgeId> {
        let spec = self.layer(layer)?.outputs(&Args::new())?.into_iter().next();
        let spec = spec.ok_or_else(|| Error::config("", "an input layer without an output"))?;
        let outputs = self.node(layer, Args::new(), vec![spec])?;
        self.inputs.extend(&outputs);
        outputs
            .first()
            .copied()
            .ok_or_else(|| Error::config("", "an input layer without an output"))
    }

    /// Uses a layer on edges; shapes are inferred, and refused with the layer's name.
    pub fn apply(&mut self, layer: usize, args: Args<EdgeId>) -> Result<Vec<EdgeId>> {
        let specs = args.try_map(|edge| Ok(self.spec(*edge).clone()))?;
        let entry = self.layer(layer)?;
        let made = infer(entry, &specs)?;
        self.node(layer, args, made)
    }

    /// Says in which order the inputs are given, and by which keys if they are a dict.
    ///
    /// # Errors
    /// If one is stated twice.
    pub fn set_inputs(&mut self, inputs: &[EdgeId], keys: Option<Vec<String>>) -> Result<()> {
        let mut rest = inputs;
        while let Some((edge, after)) = rest.split_first() {
            if after.contains(edge) {
                return Err(Error::layer(self.name_of(*edge), "is stated twice among the inputs"));
            }
            rest = after;
        }
        self.inputs = inputs.to_vec();
        self.input_keys = keys;
        Ok(())
    }

    /// Says which edges come out, and by which keys if they are a dict.
    pub fn set_outputs(&mut self, outputs: &[EdgeId], keys: Option<Vec<String>>) {
        self.outputs = outputs.to_vec();
        self.output_keys = keys;
        let mut last: HashMap<EdgeId, usize> = HashMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            node.args.each(&mut |edge| {
                last.insert(*edge, index);
            });
        }
        let mut readers: HashMap<EdgeId, Vec<usize>> = HashMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            node.args.each(&mut |edge| readers.entry(*edge).or_default().push(index));
        }
        for node in &mut self.nodes {
            node.last_use.clear();
            node.only_reader = match node.outputs[..] {
                [edge] if !outputs.contains(&edge) => match readers.get(&edge).map(Vec::as_slice) {
                    Some([reader]) => Some(*reader),
                    _ => None,
                },
                _ => None,
            };
        }
        for (edge, index) in last {
            if let Some(node) = self.nodes.get_mut(index)
                && !outputs.contains(&edge)
            {
                node.last_use.push(edge);
            }
        }
    }

    fn node(&mut self, layer: usize, args: Args<EdgeId>, specs: Vec<Spec>) -> Result<Vec<EdgeId>> {
        let use_index = self.nodes.iter().filter(|n| n.layer == layer).count();
        let stream_key = key_of(self.layer(layer)?.name()).wrapping_add(use_index as u64);
        let (node, first) = (self.nodes.len(), self.edges.len());
        let outputs: Vec<EdgeId> = (first..first + specs.len()).map(EdgeId).collect();
        let edge = |(index, spec)| Edge { spec, producer: (node, index) };
        self.edges.extend(specs.into_iter().enumerate().map(edge));
        let last_use = Vec::new();
        let outputs_of_node = outputs.clone();
        self.nodes.push(Node {
            layer,
            args,
            outputs: outputs_of_node,
            use_index,
            stream_key,
            last_use,
            only_reader: None,
        });
        Ok(outputs)
    }

    fn layer(&self, layer: usize) -> Result<&LayerEntry> {
        self.layers
            .get(layer)
            .ok_or_else(|| Error::config("", format!("there is no layer {layer}")))
    }

    /// The shape and type of an edge.
    pub fn spec(&self, edge: EdgeId) -> &Spec {
        &self.edges[edge.0].spec
    }

    /// The shape of an edge.
    pub fn dims(&self, edge: EdgeId) -> &Dims {
        &self.spec(edge).dims
    }

    /// The node that makes an edge, and which of its outputs it is.
    pub fn producer(&self, edge: EdgeId) -> (&Node, usize) {
        let (node, index) = self.edges[edge.0].producer;
        (&self.nodes[node], index)
    }

    /// All layers, in the order of their weights.
    pub fn layers(&self) -> &[LayerEntry] {
        &self.layers
    }

    /// The layer of a name.
    ///
    /// # Errors
    /// With the nearest name.
    pub fn find(&self, name: &str) -> Result<&LayerEntry> {
        self.names.get(name).and_then(|index| self.layers.get(*index)).ok_or_else(|| {
            let known: Vec<&str> = self.layers.iter().map(LayerEntry::name).collect();
            Error::config("", sconce_core::registry::unknown("layer", name, known))
        })
    }

    /// The layers in the order in which Keras lists them and writes them to files.
    pub fn keras_order(&self, is_functional: bool) -> Result<Vec<usize>> {
        if !is_functional {
            return Ok((0..self.layers.len()).collect());
        }
        let producer = |edge: &EdgeId| self.edges[edge.0].producer.0;
        let call = |node: &Node| Call {
            layer: node.layer,
            inputs: node.args.flat().into_iter().map(producer).collect(),
        };
        let calls: Vec<Call> = self.nodes.iter().map(call).collect();
        let nodes = |edges: &[EdgeId]| edges.iter().map(producer).collect::<Vec<_>>();
        functional_order(&calls, &nodes(&self.inputs), &nodes(&self.outputs))
    }

    /// An edge as a symbolic tensor, to build other models on the same layers.
    pub fn symbol(&self, edge: EdgeId) -> Result<SymbolicTensor> {
        let symbols = match self.symbols.get() {
            Some(symbols) => symbols,
            None => {
                let made = self.make_symbols()?;
                self.symbols.get_or_init(|| made)
            }
        };
        let missing = || Error::layer(self.name_of(edge), "has no symbolic tensor");
        symbols.get(&edge).cloned().ok_or_else(missing)
    }

    pub(crate) fn set_symbols(&mut self, symbols: HashMap<EdgeId, SymbolicTensor>) {
        self.symbols = OnceLock::from(symbols);
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

    /// The keys of the inputs, if they were stated as a dict.
    pub fn input_keys(&self) -> Option<&[String]> {
        self.input_keys.as_deref()
    }

    /// The keys of the outputs, if they were stated as a dict.
    pub fn output_keys(&self) -> Option<&[String]> {
        self.output_keys.as_deref()
    }

    /// The shapes that go in.
    pub fn input_dims(&self) -> Vec<&Dims> {
        self.inputs.iter().map(|e| self.dims(*e)).collect()
    }

    /// The names of the inputs: their keys if they are a dict, else those of their layers.
    pub fn input_names(&self) -> Vec<&str> {
        match &self.input_keys {
            Some(keys) => keys.iter().map(String::as_str).collect(),
            None => self.inputs.iter().map(|edge| self.name_of(*edge)).collect(),
        }
    }

    /// The names of the outputs: their keys if they are a dict, else those of the layers that make
    /// them, made unique as Keras does (`dense`, `dense_1` for a layer with two).
    pub fn output_names(&self) -> Vec<String> {
        if let Some(keys) = &self.output_keys {
            return keys.clone();
        }
        let mut used: HashMap<&str, usize> = HashMap::new();
        let name = |edge: &EdgeId| {
            let name = self.name_of(*edge);
            let count = used.entry(name).or_default();
            *count += 1;
            if *count == 1 { name.to_string() } else { format!("{name}_{}", *count - 1) }
        };
        self.outputs.iter().map(name).collect()
    }

    /// The shapes that come out.
    pub fn output_dims(&self) -> Vec<&Dims> {
        self.outputs.iter().map(|e| self.dims(*e)).collect()
    }

    /// What a layer is first called with, which decides its weights.
    pub fn build_args(&self, layer: usize) -> Result<Args<Spec>> {
        match self.nodes.iter().find(|node| node.layer == layer) {
            Some(node) => node.args.try_map(|edge| Ok(self.spec(*edge).clone())),
            None => Ok(Args::new()),
        }
    }

    /// The same connections with other layers, one for each.
    pub(crate) fn with_layers(&self, layers: Vec<LayerEntry>) -> Self {
        Self { layers, symbols: OnceLock::new(), ..self.clone() }
    }

    /// Makes every layer's weights, unless they exist.
    pub fn build(&self, options: BuildOptions<'_>) -> Result<()> {
        for (index, entry) in self.layers.iter().enumerate() {
            entry.build(&self.build_args(index)?, "", options)?;
        }
        Ok(())
    }

    /// The weights of all layers, in order. Layers that are not trainable now are frozen.
    pub fn store(&self) -> Result<Store> {
        let mut store = Store::new();
        self.layers.iter().try_for_each(|entry| entry.collect(&mut store, "", true))?;
        Ok(store)
    }

    /// The shapes and types that come out for others than the graph was made for.
    pub fn infer(&self, inputs: &[Spec]) -> Result<Vec<Spec>> {
        self.check_count(inputs.len())?;
        let mut specs: HashMap<EdgeId, Spec> = HashMap::new();
        for (edge, spec) in self.inputs.iter().zip(inputs) {
            let declared = self.spec(*edge);
            if !agrees(&declared.dims, &spec.dims) {
                return Err(self.wrong_shape(*edge, &spec.dims.to_string()));
            }
            specs.insert(*edge, Spec { dims: spec.dims.clone(), dtype: declared.dtype });
        }
        for node in self.nodes.iter().filter(|node| !self.is_input(node)) {
            let entry = self.layer(node.layer)?;
            let args = node.args.try_map(|edge| {
                Ok(specs.get(edge).cloned().unwrap_or_else(|| self.spec(*edge).clone()))
            })?;
            specs.extend(node.outputs.iter().copied().zip(infer(entry, &args)?));
        }
        let spec = |edge: &EdgeId| specs.get(edge).unwrap_or_else(|| self.spec(*edge)).clone();
        Ok(self.outputs.iter().map(spec).collect())
    }

    /// Runs the graph on its inputs.
    pub fn run(&self, inputs: Vec<Value>, scope: &mut Scope<'_>) -> Result<Vec<Value>> {
        self.check_count(inputs.len())?;
        let mut values: Vec<Option<Value>> = vec![None; self.edges.len()];
        for (edge, value) in self.inputs.iter().zip(inputs) {
            if !self.dims(*edge).fits(value.tensor.dims()) {
                return Err(self.wrong_shape(*edge, &format!("{:?}", value.tensor.dims())));
            }
            values[edge.0] = Some(value);
        }
        // Nodes that one before has run too.
        let mut done: Vec<bool> = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if self.is_input(node) || done.get(index) == Some(&true) {
                continue;
            }
            let entry = self.layer(node.layer)?;
            let args = node.args.try_map(|edge| {
                values[edge.0].clone().ok_or_else(|| {
                    Error::layer(
                        entry.name(),
                        "runs before one of its inputs; the graph is not in order",
                    )
                })
            })?;
            for edge in &node.last_use {
                values[edge.0] = None;
            }
            let (following, too) = match scope.joins_layers() {
                true => self.follow(node, scope.predicts())?,
                false => (Following::default(), Vec::new()),
            };
            let outputs = scope.run_with(entry, args, node.stream_key, following)?;
            if !too.is_empty() {
                done.resize(self.nodes.len(), false);
                too.iter().for_each(|index| done[*index] = true);
            }
            let node = too.last().map_or(node, |index| &self.nodes[*index]);
            if outputs.len() != node.outputs.len() {
                let message = format!(
                    "promised {} outputs and returned {}",
                    node.outputs.len(),
                    outputs.len()
                );
                return Err(Error::layer(entry.name(), message));
            }
            for (edge, output) in node.outputs.iter().zip(outputs) {
                values[edge.0] = Some(output);
            }
        }
        let missing = || Error::config("", "an output of the model is not made by any layer");
        self.outputs.iter().map(|e| values[e.0].clone().ok_or_else(missing)).collect()
    }

    /// The nodes after one that its layer runs too, in their order, and what they are to it. In training it is
    /// only an activation that works on results in place.
    fn follow(&self, node: &Node, predicts: bool) -> Result<(Following, Vec<usize>)> {
        let (mut following, mut nodes) = (Following::default(), Vec::new());
        let plain = |entry: &LayerEntry| {
            entry.policy().compute == DType::F32 && entry.activity_regularizer().is_none()
        };
        let entry = self.layer(node.layer)?;
        if !entry.layer().takes_activation() || !plain(entry) {
            return Ok((following, nodes));
        }
        let takes_affine = predicts && entry.layer().takes_following();
        let mut reader = node.only_reader;
        while let Some(index) = reader.take()
            && let Some(node) = self.nodes.get(index)
            && let [Arg::One(edge)] = &node.args.positional[..]
            // Keras writes `mask: null` at the calls of BatchNormalization.
            && node.args.named.iter().all(|(_, arg)| matches!(arg, Arg::Json(Json::Null)))
            && following.activation.is_none()
        {
            let entry = self.layer(node.layer)?;
            let weight = |name: &str| {
                let weight = entry.weights().iter().find(|weight| weight.name == name)?;
                Some(weight.value(false).clone())
            };
            if !plain(entry) {
                break;
            }
            let rank = self.dims(*edge).rank();
            if nodes.is_empty() && takes_affine {
                following.affine = entry.layer().affine(rank, &weight)?;
            }
            if following.affine.is_none() || !nodes.is_empty() {
                let function = entry.layer().elementwise();
                following.activation = function.filter(|f| predicts || f.fuses());
                if following.activation.is_none() {
                    break;
                }
            }
            nodes.push(index);
            reader = node.only_reader;
        }
        Ok((following, nodes))
    }

    /// The arrays as the input layers hand them on, in the types they declare.
    pub fn cast_inputs(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        self.check_count(inputs.len())?;
        let convert = |(edge, x): (&EdgeId, Tensor)| {
            let (node, _) = self.producer(*edge);
            match self.layer(node.layer)?.downcast::<InputLayer>() {
                Some(input) => input.cast(&x),
                None => Ok(x),
            }
        };
        self.inputs.iter().zip(inputs).map(convert).collect()
    }

    /// As [`Graph::cast_inputs`], of values with masks.
    pub(crate) fn cast_values(&self, inputs: Vec<Value>) -> Result<Vec<Value>> {
        let (tensors, masks): (Vec<_>, Vec<_>) =
            inputs.into_iter().map(|value| (value.tensor, value.mask)).unzip();
        let tensors = self.cast_inputs(tensors)?;
        Ok(tensors.into_iter().zip(masks).map(|(tensor, mask)| Value { tensor, mask }).collect())
    }

    fn is_input(&self, node: &Node) -> bool {
        node.outputs.iter().all(|edge| self.inputs.contains(edge))
    }

    fn check_count(&self, found: usize) -> Result<()> {
        let expected = self.inputs.len();
        if found == expected {
            return Ok(());
        }
        let arrays = if expected == 1 { "array" } else { "arrays" };
        Err(Error::data(format!("the model takes {expected} input {arrays}, got {found}")))
    }

    fn wrong_shape(&self, edge: EdgeId, found: &str) -> Error {
        Error::data(format!(
            "the input of `{}` has shape {found}, the model takes {}",
            self.name_of(edge),
            self.dims(edge)
        ))
    }

    /// The name of the layer that makes an edge.
    pub fn name_of(&self, edge: EdgeId) -> &str {
        let (node, _) = self.producer(edge);
        self.layers.get(node.layer).map_or("input", LayerEntry::name)
    }

    /// Whether what comes out are probabilities, following layers that only pass values on.
    pub fn outputs_probabilities(&self, output: usize) -> bool {
        let mut edge = self.outputs.get(output).copied();
        while let Some(current) = edge {
            let (node, _) = self.producer(current);
            let Some(entry) = self.layers.get(node.layer) else { return false };
            match entry.layer().outputs_probabilities() {
                Some(answer) => return answer,
                None => edge = node.args.flat().first().map(|edge| **edge),
            }
        }
        false
    }
}

/// What a call of a layer makes, after checking that the layer takes such arguments.
pub(crate) fn infer(entry: &LayerEntry, args: &Args<Spec>) -> Result<Vec<Spec>> {
    check_arguments(entry, args)
        .and_then(|()| check_stated_input(entry, args))
        .and_then(|()| entry.outputs(args))
        .map_err(|e| e.in_layer(entry.given_name().unwrap_or_else(|| entry.class_name())))
}

/// Refuses an input that is not what the layer's `input_shape` says.
fn check_stated_input(entry: &LayerEntry, args: &Args<Spec>) -> Result<()> {
    let inputs = args.flat();
    let (Some(stated), [given]) = (entry.stated_input(), inputs.as_slice()) else {
        return Ok(());
    };
    if agrees(&stated, &given.dims) {
        return Ok(());
    }
    let message = format!(
        "its input_shape says {stated}, the layer before it gives {}; leave input_shape out, or correct \
         it",
        given.dims
    );
    Err(Error::layer("", message))
}

/// Refuses arguments that the layer's call does not have.
fn check_arguments<T>(entry: &LayerEntry, args: &Args<T>) -> Result<()> {
    let known = entry.layer().arguments();
    let refuse = |message: String| Err(Error::layer("", message));
    if args.positional.len() > known.len() {
        return refuse(format!(
            "{} takes {} positional argument{} ({}), got {}; give several tensors to one argument as a \
             list",
            entry.class_name(),
            known.len(),
            if known.len() == 1 { "" } else { "s" },
            known.join(", "),
            args.positional.len()
        ));
    }
    if known.len() == 1
        && let Some(Arg::Json(value)) = args.positional.first()
    {
        return refuse(format!("{} is called with a tensor, got {value}", entry.class_name()));
    }
    // Every call takes these.
    let shared = ["training", "mask"];
    for (name, _) in &args.named {
        if !known.contains(&name.as_str()) && !shared.contains(&name.as_str()) {
            let known = known.iter().copied().chain(shared);
            return refuse(sconce_core::registry::unknown("argument", name, known));
        }
        let by_position = known.iter().take(args.positional.len()).any(|known| known == name);
        if by_position || args.named.iter().filter(|(other, _)| other == name).count() > 1 {
            return refuse(format!("got two values for the argument `{name}`"));
        }
    }
    if args.flat().is_empty() {
        return refuse("is called without a tensor".to_string());
    }
    Ok(())
}

/// Whether two shapes may be those of one tensor.
fn agrees(a: &Dims, b: &Dims) -> bool {
    let same = |(a, b): (&Option<usize>, &Option<usize>)| a.is_none() || b.is_none() || a == b;
    a.rank() == b.rank() && a.0.iter().zip(&b.0).all(same)
}
