//! Symbolic tensors: what functional models are written with in Rust.
//!
//! ```
//! use sconce_layers::{Dense, LayerExt};
//! use sconce_model::{Apply, Architecture, Input};
//!
//! # fn main() -> sconce_core::Result<()> {
//! let x = Input::new([32]);
//! let h = Dense::new(64).activation("relu").apply(&x)?;
//! let y = Dense::new(10).name("class").apply(&h)?;
//! let model = Architecture::functional([&x], [&y])?;
//! # assert_eq!(model.class_name(), "Functional");
//! # Ok(()) }
//! ```

use crate::graph::{EdgeId, Graph, infer};
use crate::layer_order::{Call, functional_order};
use sconce_core::{Args, Dims, Error, Result, Spec};
use sconce_layers::{InputLayer, LayerEntry};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A tensor of a model, before there are values.
#[derive(Clone)]
pub struct SymbolicTensor {
    node: Arc<SymbolicNode>,
    index: usize,
}

/// One use of a layer.
struct SymbolicNode {
    entry: LayerEntry,
    args: Args<SymbolicTensor>,
    outputs: Vec<Spec>,
    /// Nodes in the order they were made can run in that order.
    number: u64,
}

/// Counts nodes. Only their order matters, never the numbers.
static NODES: AtomicU64 = AtomicU64::new(0);

impl SymbolicTensor {
    /// What a layer makes of arguments.
    pub(crate) fn call(entry: LayerEntry, args: Args<Self>) -> Result<Vec<Self>> {
        let specs = args.try_map(|tensor| Ok(tensor.spec().clone()))?;
        let outputs = infer(&entry, &specs)?;
        Ok(Self::of_node(entry, args, outputs))
    }

    fn of_node(entry: LayerEntry, args: Args<Self>, outputs: Vec<Spec>) -> Vec<Self> {
        let count = outputs.len();
        let number = NODES.fetch_add(1, Ordering::Relaxed);
        let node = Arc::new(SymbolicNode { entry, args, outputs, number });
        (0..count).map(|index| Self { node: node.clone(), index }).collect()
    }

    /// Its shape and type.
    pub fn spec(&self) -> &Spec {
        &self.node.outputs[self.index]
    }

    /// Its shape, the batch axis first.
    pub fn dims(&self) -> &Dims {
        &self.spec().dims
    }

    /// The layer that makes it.
    pub fn layer(&self) -> &LayerEntry {
        &self.node.entry
    }

    /// Names the layer that makes it, unless that has a name: `Input::new([3]).name("pixels")`,
    /// `(&a + &b)?.name("sum")`.
    pub fn name(self, name: &str) -> Self {
        self.node.entry.set_name(name);
        self
    }
}

impl fmt::Debug for SymbolicTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SymbolicTensor({:?}, {})", self.node.entry, self.spec())
    }
}

impl AsRef<SymbolicTensor> for SymbolicTensor {
    fn as_ref(&self) -> &SymbolicTensor {
        self
    }
}

/// Makes the inputs of functional models.
pub struct Input;

impl Input {
    /// Samples of a shape (without the batch axis), float32.
    #[allow(clippy::new_ret_no_self)] // Keras's `Input(shape)` gives a tensor too.
    pub fn new(shape: impl AsRef<[usize]>) -> SymbolicTensor {
        Self::of_layer(InputLayer::new(shape))
    }

    /// Samples of a shape and type: `Input::typed([100], "int32")`.
    pub fn typed(shape: impl AsRef<[usize]>, dtype: &str) -> SymbolicTensor {
        Self::of_layer(InputLayer::new(shape).dtype(dtype))
    }

    /// Of an input layer, whose axes may be unknown.
    pub fn of_layer(layer: InputLayer) -> SymbolicTensor {
        // A type that is not known is reported when a model is made.
        let spec = layer.spec().unwrap_or_else(|_| Spec::float(layer.batch_shape.clone()));
        let mut tensors = SymbolicTensor::of_node(layer.into(), Args::new(), vec![spec]);
        tensors.swap_remove(0)
    }
}

/// What a layer can be called with: a tensor, an array or vector of tensors (one list argument),
/// tuples (several arguments), or [`Args`] with names.
pub trait IntoArgs {
    /// The arguments.
    fn into_args(self) -> Args<SymbolicTensor>;
}

impl IntoArgs for Args<SymbolicTensor> {
    fn into_args(self) -> Args<SymbolicTensor> {
        self
    }
}

impl IntoArgs for &SymbolicTensor {
    fn into_args(self) -> Args<SymbolicTensor> {
        Args::one(self.clone())
    }
}

impl<const N: usize> IntoArgs for [&SymbolicTensor; N] {
    fn into_args(self) -> Args<SymbolicTensor> {
        Args::list(self.into_iter().cloned())
    }
}

impl IntoArgs for &[SymbolicTensor] {
    fn into_args(self) -> Args<SymbolicTensor> {
        Args::list(self.iter().cloned())
    }
}

impl IntoArgs for (&SymbolicTensor, &SymbolicTensor) {
    fn into_args(self) -> Args<SymbolicTensor> {
        Args::one(self.0.clone()).tensor(self.1.clone())
    }
}

impl IntoArgs for (&SymbolicTensor, &SymbolicTensor, &SymbolicTensor) {
    fn into_args(self) -> Args<SymbolicTensor> {
        Args::one(self.0.clone()).tensor(self.1.clone()).tensor(self.2.clone())
    }
}

/// Calling a layer on symbolic tensors.
pub trait Apply: Sized {
    /// Every output of the layer.
    fn apply_all(self, args: impl IntoArgs) -> Result<Vec<SymbolicTensor>>;

    /// The only output of the layer.
    ///
    /// # Errors
    /// Shapes that the layer does not take; a layer with several outputs (see [`Apply::apply_all`]).
    fn apply(self, args: impl IntoArgs) -> Result<SymbolicTensor> {
        let mut outputs = self.apply_all(args)?;
        match (outputs.pop(), outputs.len()) {
            (Some(output), 0) => Ok(output),
            (last, more) => Err(Error::layer(
                last.as_ref().map_or("", |t| t.layer().name()),
                format!("has {} outputs; take them with `apply_all`", more + 1),
            )),
        }
    }
}

impl<L: Into<LayerEntry>> Apply for L {
    fn apply_all(self, args: impl IntoArgs) -> Result<Vec<SymbolicTensor>> {
        SymbolicTensor::call(self.into(), args.into_args())
    }
}

impl Graph {
    /// The graph between inputs and outputs. Layers stand in Keras's order.
    ///
    /// # Errors
    /// Inputs that are no input layers' tensors, outputs that depend on others than the inputs, two
    /// layers of one name.
    pub fn between(inputs: &[SymbolicTensor], outputs: &[SymbolicTensor]) -> Result<Self> {
        if outputs.is_empty() {
            return Err(Error::config("", "a model needs at least one output"));
        }
        let nodes = sorted_nodes(inputs, outputs)?;
        let place: HashMap<u64, usize> =
            nodes.iter().enumerate().map(|(index, node)| (node.number, index)).collect();
        let mut entries: Vec<LayerEntry> = Vec::new();
        let mut calls = Vec::new();
        for node in &nodes {
            let layer = match entries.iter().position(|entry| entry.is(&node.entry)) {
                Some(layer) => layer,
                None => {
                    entries.push(node.entry.clone());
                    entries.len() - 1
                }
            };
            // Whatever feeds an input is no part of this model.
            let from = match is_input(node, inputs) {
                true => Vec::new(),
                false => node.args.flat(),
            };
            let from = from.iter().filter_map(|t| place.get(&t.node.number).copied());
            calls.push(Call { layer, inputs: from.collect() });
        }
        let at = |tensors: &[SymbolicTensor]| -> Vec<usize> {
            tensors.iter().filter_map(|t| place.get(&t.node.number).copied()).collect()
        };
        let order = functional_order(&calls, &at(inputs), &at(outputs))?;
        let mut graph = Self::reserving(&entries);
        // Names are made in the order of creation, as in Keras; layers stand in the order of depth.
        let mut names = Self::reserving(&entries);
        entries.iter().try_for_each(|entry| names.add(entry).map(drop))?;
        for layer in order {
            graph.add(&entries[layer])?;
        }
        let mut edges: HashMap<(u64, usize), EdgeId> = HashMap::new();
        for node in &nodes {
            let layer = graph.add(&node.entry)?;
            let made = if is_input(node, inputs) {
                vec![graph.input(layer)?]
            } else {
                let args = node.args.try_map(|tensor| {
                    edges.get(&tensor.key()).copied().ok_or_else(|| disconnected(tensor))
                })?;
                graph.apply(layer, args)?
            };
            edges.extend(made.into_iter().enumerate().map(|(i, edge)| ((node.number, i), edge)));
        }
        let ends = |tensors: &[SymbolicTensor]| -> Result<Vec<EdgeId>> {
            let edge = |t: &SymbolicTensor| edges.get(&t.key()).copied();
            tensors.iter().map(|t| edge(t).ok_or_else(|| disconnected(t))).collect()
        };
        let (inputs, outputs) = (ends(inputs)?, ends(outputs)?);
        graph.set_inputs(&inputs, None)?;
        graph.set_outputs(&outputs, None);
        let symbol = |node: &Arc<SymbolicNode>, index| SymbolicTensor { node: node.clone(), index };
        let symbols = nodes.iter().flat_map(|node| {
            let edge = |index| Some((*edges.get(&(node.number, index))?, symbol(node, index)));
            (0..node.outputs.len()).filter_map(edge).collect::<Vec<_>>()
        });
        graph.set_symbols(symbols.collect());
        Ok(graph)
    }

    /// The tensors of a graph that was not written with symbolic ones.
    pub(crate) fn make_symbols(&self) -> Result<HashMap<EdgeId, SymbolicTensor>> {
        let mut tensors: HashMap<EdgeId, SymbolicTensor> = HashMap::new();
        for node in self.nodes() {
            let entry = self.layers()[node.layer].clone();
            let args = node.args.try_map(|edge| {
                tensors
                    .get(edge)
                    .cloned()
                    .ok_or_else(|| Error::layer(entry.name(), "runs before one of its inputs"))
            })?;
            let specs = node.outputs.iter().map(|edge| self.spec(*edge).clone()).collect();
            let made = SymbolicTensor::of_node(entry, args, specs);
            tensors.extend(node.outputs.iter().copied().zip(made));
        }
        Ok(tensors)
    }
}

impl SymbolicTensor {
    fn key(&self) -> (u64, usize) {
        (self.node.number, self.index)
    }
}

fn is_input(node: &SymbolicNode, inputs: &[SymbolicTensor]) -> bool {
    inputs.iter().any(|input| input.node.number == node.number)
}

fn disconnected(tensor: &SymbolicTensor) -> Error {
    Error::layer(
        tensor.layer().name(),
        "the outputs depend on this tensor, which no input of the model leads to; add its input to \
         the model's inputs",
    )
}

/// Every node that the outputs depend on, up to the inputs, and the inputs, in the order they were
/// made.
fn sorted_nodes(
    inputs: &[SymbolicTensor],
    outputs: &[SymbolicTensor],
) -> Result<Vec<Arc<SymbolicNode>>> {
    let mut nodes: HashMap<u64, Arc<SymbolicNode>> = HashMap::new();
    for input in inputs {
        if input.layer().downcast::<InputLayer>().is_none() {
            return Err(Error::layer(
                input.layer().name(),
                "an input of a model is made by `Input::new`; for the part of a model behind an inner \
                 tensor, call its layers on a new `Input`",
            ));
        }
        nodes.insert(input.node.number, input.node.clone());
    }
    let mut open: Vec<Arc<SymbolicNode>> = outputs.iter().map(|t| t.node.clone()).collect();
    while let Some(node) = open.pop() {
        if nodes.insert(node.number, node.clone()).is_some() {
            continue;
        }
        if node.entry.downcast::<InputLayer>().is_some() {
            return Err(disconnected(&SymbolicTensor { node, index: 0 }));
        }
        node.args.each(&mut |tensor| open.push(tensor.node.clone()));
    }
    let mut nodes: Vec<_> = nodes.into_values().collect();
    nodes.sort_by_key(|node| node.number);
    Ok(nodes)
}
