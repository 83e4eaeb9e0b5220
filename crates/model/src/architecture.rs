//! How a model is stated: a stack of layers, or layers called on each other's outputs. Both become a
//! [`Graph`].

use crate::functional;
use crate::graph::Graph;
use crate::graph_layer::GraphLayer;
use crate::legacy;
use crate::shared::{Shared, SharedIds};
use crate::symbolic::SymbolicTensor;
use sconce_core::json::{OBJECT_KEYS, only_keys};
use sconce_core::policy::keras_name;
use sconce_core::registry::object;
use sconce_core::{Args, Config, ConfigValue, DTypePolicy, Dims, Error, Json, Kind, Result, Spec};
use sconce_layers::json::to_json;
use sconce_layers::operations::Operations;
use sconce_layers::{Identity, InputLayer, LayerEntry, TimeDistributed};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) const SEQUENTIAL: &str = "Sequential";
pub(crate) const FUNCTIONAL: &str = "Functional";

/// Layers and how they are connected. Clones share the layers, and so their weights.
#[derive(Clone, Debug)]
pub struct Architecture {
    name: Option<String>,
    trainable: bool,
    connections: Connections,
}

#[derive(Clone, Debug)]
enum Connections {
    /// Each layer is fed by the one before it.
    Stack(Vec<LayerEntry>),
    /// Layers are called on each other's outputs.
    Graph(Arc<Graph>),
}

impl Default for Architecture {
    fn default() -> Self {
        Self { name: None, trainable: true, connections: Connections::Stack(Vec::new()) }
    }
}

/// Whether a class name is a layer or a model that can be built here.
pub fn is_supported(class_name: &str) -> bool {
    [SEQUENTIAL, FUNCTIONAL].contains(&class_name)
        || sconce_layers::Layers::find(class_name).is_some_and(|e| e.class_name == class_name)
}

/// Whether a class name of the module `keras.src.ops...` is an operation that can be built here.
pub fn is_supported_operation(class_name: &str) -> bool {
    Operations::find(class_name).is_some_and(|e| e.class_name == class_name)
}

impl Architecture {
    /// A stack of layers, each fed by the one before it (Keras's Sequential).
    pub fn sequential() -> Self {
        Self::default()
    }

    /// The layers between inputs and outputs (Keras's functional models).
    ///
    /// # Errors
    /// Outputs that depend on other inputs, two layers of one name.
    pub fn functional<I, O>(
        inputs: impl IntoIterator<Item = I>,
        outputs: impl IntoIterator<Item = O>,
    ) -> Result<Self>
    where
        I: AsRef<SymbolicTensor>,
        O: AsRef<SymbolicTensor>,
    {
        let inputs: Vec<_> = inputs.into_iter().map(|t| t.as_ref().clone()).collect();
        let outputs: Vec<_> = outputs.into_iter().map(|t| t.as_ref().clone()).collect();
        let graph = Graph::between(&inputs, &outputs)?;
        Ok(Self { connections: Connections::Graph(Arc::new(graph)), ..Self::default() })
    }

    /// Keras's class: "Sequential" or "Functional".
    pub fn class_name(&self) -> &'static str {
        match self.connections {
            Connections::Stack(_) => SEQUENTIAL,
            Connections::Graph(_) => FUNCTIONAL,
        }
    }

    /// Keras's module of the class.
    pub fn module(&self) -> &'static str {
        match self.connections {
            Connections::Stack(_) => "keras",
            Connections::Graph(_) => "keras.src.models.functional",
        }
    }

    /// The model's name; made from its class if it has none.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(match self.connections {
            Connections::Stack(_) => "sequential",
            Connections::Graph(_) => "functional",
        })
    }

    /// The name that the model was given.
    pub fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Names the model.
    pub fn set_name(&mut self, name: &str) {
        self.name = Some(name.to_string());
    }

    /// Whether the model is trainable as a layer of another one.
    pub fn is_trainable(&self) -> bool {
        self.trainable
    }

    /// Adds a layer on top of a stack.
    ///
    /// # Errors
    /// For a functional model, whose layers are connected one by one.
    pub fn add(&mut self, layer: impl Into<LayerEntry>) -> Result<()> {
        match &mut self.connections {
            Connections::Stack(layers) => {
                layers.push(layer.into());
                Ok(())
            }
            Connections::Graph(_) => {
                Err(Error::config("", "layers can be added to a Sequential model only"))
            }
        }
    }

    /// The same architecture with layers that have no weights yet: models made of the two share
    /// nothing. Keras's `clone_model`.
    pub fn duplicate(&self) -> Result<Self> {
        let layers = match &self.connections {
            Connections::Stack(layers) => layers,
            Connections::Graph(graph) => graph.layers(),
        };
        let mut copies = HashMap::new();
        let layers = layers.iter().map(|entry| entry.duplicate(&mut copies));
        Ok(self.with_layers(layers.collect::<Result<_>>()?))
    }

    /// The same connections with other layers, one for each; those of a stack may come after an input
    /// layer that was made for it.
    pub(crate) fn with_layers(&self, layers: Vec<LayerEntry>) -> Self {
        let connections = match &self.connections {
            Connections::Stack(stack) => {
                let made = layers.len().saturating_sub(stack.len());
                Connections::Stack(layers.into_iter().skip(made).collect())
            }
            Connections::Graph(graph) => Connections::Graph(Arc::new(graph.with_layers(layers))),
        };
        Self { connections, ..self.clone() }
    }

    /// The layers that its JSON lists.
    pub(crate) fn listed<'a>(&'a self, graph: Option<&'a Graph>) -> &'a [LayerEntry] {
        match (&self.connections, graph) {
            (Connections::Graph(graph), _) => graph.layers(),
            (_, Some(graph)) => graph.layers(),
            (Connections::Stack(layers), None) => layers,
        }
    }

    /// What goes in, if the first layer states it.
    pub fn stated_input(&self) -> Option<Spec> {
        let layers = match &self.connections {
            Connections::Stack(layers) => layers,
            Connections::Graph(graph) => match graph.inputs() {
                [one] => return Some(graph.spec(*one).clone()),
                _ => return None,
            },
        };
        let first = layers.first()?;
        if let Some(input) = first.downcast::<InputLayer>() {
            return input.spec().ok();
        }
        match first.stated_input() {
            Some(dims) => Some(Spec::float(dims)),
            None => first.downcast::<GraphLayer>()?.architecture().stated_input(),
        }
    }

    /// Whether it can be built without seeing data.
    pub fn states_its_input(&self) -> bool {
        matches!(self.connections, Connections::Graph(_)) || self.stated_input().is_some()
    }

    /// Connects the layers and infers every shape. `input` is what the data is, used where the first
    /// layer states nothing.
    pub fn graph(&self, input: Option<&Spec>) -> Result<Arc<Graph>> {
        let layers = match &self.connections {
            Connections::Stack(layers) => layers,
            Connections::Graph(graph) => return Ok(graph.clone()),
        };
        if layers.is_empty() {
            return Err(Error::config("", "the model has no layers; add some with `.add(..)`"));
        }
        let spec = self.stated_input().or_else(|| input.cloned()).ok_or_else(|| {
            Error::config(
                "",
                "the shape of the input is not known: give the first layer `.input_shape([..])`, or \
                 call `fit` or `build` with data first",
            )
        })?;
        let mut graph = Graph::reserving(layers);
        let mut layers = layers.iter().peekable();
        let input = match layers.next_if(|l| l.downcast::<InputLayer>().is_some()) {
            Some(input) => input.clone(),
            None => {
                // Integers stay what they are for layers that take them, such as embeddings.
                let takes_integers = layers.peek().is_some_and(|l| !l.layer().casts_integers());
                let dtype = match spec.dtype {
                    dtype if takes_integers && !dtype.is_float() => keras_name(dtype),
                    _ => "float32",
                };
                InputLayer::of(spec.dims.clone()).dtype(dtype).into()
            }
        };
        let layer = graph.add(&input)?;
        let first = graph.input(layer)?;
        let mut edge = first;
        for entry in layers {
            if entry.downcast::<InputLayer>().is_some() {
                return Err(Error::config(
                    "",
                    "an InputLayer must be the first layer of a Sequential",
                ));
            }
            let layer = graph.add(entry)?;
            edge = match graph.apply(layer, Args::one(edge))?.as_slice() {
                [edge] => *edge,
                outputs => {
                    return Err(Error::layer(
                        entry.name(),
                        format!(
                            "a Sequential needs layers with one output, this has {}",
                            outputs.len()
                        ),
                    ));
                }
            };
        }
        graph.set_inputs(&[first], None)?;
        graph.set_outputs(&[edge], None);
        Ok(Arc::new(graph))
    }

    /// Reads Keras's JSON of a model: `{"class_name": "Sequential", "config": {"name", "layers":
    /// [..]}}`, or `"Functional"`, in the form of Keras 3, 2 or 1. Keys left out take Keras's defaults.
    ///
    /// # Errors
    /// With the JSON path of what is unknown or wrong.
    pub fn from_json(value: &Json) -> Result<Self> {
        Self::read(&legacy::translated(value, None)?.model, &Shared::default())
    }

    fn read(value: &Json, shared: &Shared) -> Result<Self> {
        let map = object(value.clone(), "a model")?;
        only_keys(&map, &OBJECT_KEYS)?;
        let config = map.get("config").cloned().unwrap_or(json!({}));
        let read = match map.get("class_name").and_then(Json::as_str) {
            Some(SEQUENTIAL) => Self::read_stack,
            Some(FUNCTIONAL | "Model") => Self::read_functional,
            Some(other) => {
                let message =
                    sconce_core::registry::unknown("model class", other, [SEQUENTIAL, FUNCTIONAL]);
                return Err(Error::config("class_name", message));
            }
            None => {
                return Err(Error::config("class_name", "a model needs its class: \"Sequential\""));
            }
        };
        read(object(config, "a model's `config`").map_err(|e| e.under("config"))?, shared)
            .map_err(|e| e.under("config"))
    }

    fn read_stack(map: Map, shared: &Shared) -> Result<Self> {
        only_keys(&map, &["name", "trainable", "dtype", "layers", "build_input_shape"])?;
        let Some(Json::Array(list)) = map.get("layers") else {
            return Err(Error::config("layers", "a model needs its list of layers"));
        };
        if list.is_empty() {
            return Err(Error::config("layers", "a model needs at least one layer"));
        }
        let mut layers = Vec::new();
        for (index, layer) in list.iter().enumerate() {
            let layer = read_layer(layer, shared);
            layers.push(layer.map_err(|e| e.under(&format!("layers[{index}]")))?);
        }
        let (name, trainable) = (name_of(&map)?, trainable_of(&map)?);
        let stack = |layers| Self {
            name: name.clone(),
            trainable,
            connections: Connections::Stack(layers),
        };
        let mut model = stack(layers.clone());
        if model.stated_input().is_none()
            && let Some(shape @ Json::Array(_)) = map.get("build_input_shape")
        {
            let dims: Dims = sconce_core::json::parse(shape.clone())
                .map_err(|e| e.under("build_input_shape"))?;
            layers.insert(0, InputLayer::of(dims).into());
            model = stack(layers);
        }
        Ok(model)
    }

    fn read_functional(map: Map, shared: &Shared) -> Result<Self> {
        only_keys(
            &map,
            &["name", "trainable", "dtype", "layers", "input_layers", "output_layers"],
        )?;
        let graph = functional::read(&map, shared)?;
        let connections = Connections::Graph(Arc::new(graph));
        Ok(Self { name: name_of(&map)?, trainable: trainable_of(&map)?, connections })
    }

    /// Keras's JSON of the model. With a graph (a built model) it carries the names and shapes that
    /// Keras needs to build it again.
    pub fn to_json(&self, graph: Option<&Graph>) -> Result<Json> {
        self.write(graph, &SharedIds::of(self, graph))
    }

    fn write(&self, graph: Option<&Graph>, shared: &SharedIds) -> Result<Json> {
        let stack = match &self.connections {
            Connections::Stack(layers) => layers,
            Connections::Graph(graph) => {
                let mut config = Map::new();
                config.insert("name".into(), json!(self.name()));
                config.insert("trainable".into(), json!(self.trainable));
                config.extend(functional::write(graph, shared)?);
                let inputs = graph.input_dims();
                let shape = if let [one] = inputs.as_slice() { json!(one) } else { json!(inputs) };
                return Ok(json!({
                    "module": self.module(), "class_name": FUNCTIONAL,
                    "config": config, "registered_name": FUNCTIONAL,
                    "build_config": { "input_shape": shape },
                }));
            }
        };
        let mut layers = Vec::new();
        let mut built = Json::Null;
        match graph {
            Some(graph) => {
                for (index, entry) in graph.layers().iter().enumerate() {
                    layers.push(write_layer(entry, graph, index, shared)?);
                }
                // Keras compares it with that of the input layer.
                let stated = match stack.first().and_then(|l| l.downcast::<InputLayer>()) {
                    Some(input) => Some(input.batch_shape.clone()),
                    None => graph.input_dims().first().copied().cloned(),
                };
                built = json!(stated);
            }
            None => {
                // Names are made as a built model makes them, so that the JSON is complete.
                let mut names = Graph::reserving(stack);
                for entry in stack {
                    names.add(entry)?;
                    let mut json = to_json(entry, entry.name(), None)?;
                    shared.mark(entry, &mut json);
                    layers.push(json);
                }
            }
        }
        let mut config = json!({
            "name": self.name(), "trainable": self.trainable,
            "dtype": DTypePolicy::default().to_json(), "layers": layers,
        });
        let mut out = json!({
            "module": self.module(), "class_name": SEQUENTIAL, "config": {},
            "registered_name": null,
        });
        if !built.is_null() {
            config["build_input_shape"] = built.clone();
            out["build_config"] = json!({ "input_shape": built });
        }
        out["config"] = config;
        Ok(out)
    }
}

type Map = serde_json::Map<String, Json>;

/// A layer, or a model as a layer, from its serialized form.
pub(crate) fn read_layer(value: &Json, shared: &Shared) -> Result<LayerEntry> {
    if let Some(known) = shared.find(value) {
        return Ok(known);
    }
    let entry = match value.get("class_name").and_then(Json::as_str) {
        Some(SEQUENTIAL | FUNCTIONAL | "Model") => {
            GraphLayer::new(Architecture::read(value, shared)?).entry()
        }
        _ => match held_model(value) {
            Some(_) => read_around(value, shared)?,
            None => sconce_layers::json::from_json(value)?,
        },
    };
    shared.remember(&entry, value);
    Ok(entry)
}

/// The model that a TimeDistributed is around, or the layer around one.
fn held_model(value: &Json) -> Option<&Json> {
    let class = |value: &Json| value.get("class_name").and_then(Json::as_str).map(str::to_string);
    if class(value).as_deref() != Some(TimeDistributed::CLASS_NAME) {
        return None;
    }
    let inner = value.pointer("/config/layer")?;
    let is_model = matches!(class(inner).as_deref(), Some(SEQUENTIAL | FUNCTIONAL | "Model"));
    (is_model || held_model(inner).is_some()).then_some(inner)
}

/// A layer around a model: it is read around another layer, whose place the model then takes.
fn read_around(value: &Json, shared: &Shared) -> Result<LayerEntry> {
    let inner = held_model(value).unwrap_or(&Json::Null);
    let model = read_layer(inner, shared).map_err(|e| e.under("config.layer"))?;
    let mut value = value.clone();
    value["config"]["layer"] = json!({"class_name": Identity::CLASS_NAME, "config": {}});
    let around = sconce_layers::json::from_json(&value)?;
    let layer = around.layer().with_children(vec![model])?;
    Ok(LayerEntry::new(layer, around.options()))
}

/// A layer of a graph, or a model as a layer, as Keras writes it.
pub(crate) fn write_layer(
    entry: &LayerEntry,
    graph: &Graph,
    index: usize,
    shared: &SharedIds,
) -> Result<Json> {
    let mut json = write_unmarked(entry, graph, index, shared)?;
    shared.mark(entry, &mut json);
    Ok(json)
}

fn write_unmarked(
    entry: &LayerEntry,
    graph: &Graph,
    index: usize,
    shared: &SharedIds,
) -> Result<Json> {
    if let Some(model) = entry.downcast::<GraphLayer>() {
        let mut json = model.architecture().write(model.graph().map(Arc::as_ref), shared)?;
        json["config"]["name"] = entry.name().into();
        json["config"]["trainable"] = entry.is_trainable().into();
        return Ok(json);
    }
    let args = graph.build_args(index)?;
    let build_input = match args.flat().as_slice() {
        [one] => Some(one.dims.clone()),
        _ => None,
    };
    to_json(entry, entry.name(), build_input.as_ref())
}

fn name_of(map: &Map) -> Result<Option<String>> {
    let name = map.get("name").map(Option::from_json);
    Ok(name.transpose().map_err(|e| e.under("name"))?.flatten())
}

fn trainable_of(map: &Map) -> Result<bool> {
    let trainable = map.get("trainable").map(bool::from_json);
    Ok(trainable.transpose().map_err(|e| e.under("trainable"))?.unwrap_or(true))
}
