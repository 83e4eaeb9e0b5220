//! How a model is stated, before it has weights, and its JSON in Keras's form.

use crate::functional::Functional;
use crate::graph::Graph;
use sconce_core::registry::object;
use sconce_core::{Dims, Error, Json, Kind, Result};
use sconce_layers::layer::{float32_policy, from_json, to_json};
use sconce_layers::{InputLayer, Layer};
use serde_json::json;
use std::sync::Arc;

const SEQUENTIAL: &str = "Sequential";
const FUNCTIONAL: &str = "Functional";

/// Layers and how they are connected.
#[derive(Clone, Default)]
pub struct Architecture {
    name: Option<String>,
    connections: Connections,
}

#[derive(Clone)]
enum Connections {
    /// Each layer is fed by the one before it.
    Stack(Vec<Arc<dyn Layer>>),
    /// Layers are called on each other's outputs.
    Functional(Functional),
}

impl Default for Connections {
    fn default() -> Self {
        Self::Stack(Vec::new())
    }
}

/// Whether a class name is a layer that can be built here.
pub fn is_supported(class_name: &str) -> bool {
    sconce_layers::Layers::find(class_name).is_some_and(|e| e.class_name == class_name)
}

impl Architecture {
    /// A stack of layers, each fed by the one before it (Keras's Sequential).
    pub fn sequential() -> Self {
        Self::default()
    }

    /// Keras's class: "Sequential" or "Functional".
    pub fn class_name(&self) -> &'static str {
        match self.connections {
            Connections::Stack(_) => SEQUENTIAL,
            Connections::Functional(_) => FUNCTIONAL,
        }
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(match self.connections {
            Connections::Stack(_) => "sequential",
            Connections::Functional(_) => "functional",
        })
    }

    /// Names the model.
    pub fn set_name(&mut self, name: &str) {
        self.name = Some(name.to_string());
    }

    /// Adds a layer on top of a stack.
    ///
    /// # Errors
    /// For a functional model, whose layers are connected one by one.
    pub fn add(&mut self, layer: Arc<dyn Layer>) -> Result<()> {
        match &mut self.connections {
            Connections::Stack(layers) => {
                layers.push(layer);
                Ok(())
            }
            Connections::Functional(_) => {
                Err(Error::config("", "layers can be added to a Sequential model only"))
            }
        }
    }

    /// The shape of the input, if the first layer states it.
    pub fn input_dims(&self) -> Option<Dims> {
        let layers = match &self.connections {
            Connections::Stack(layers) => layers,
            Connections::Functional(functional) => return functional.input_dims(),
        };
        let first = layers.first()?;
        if first.class_name() == InputLayer::CLASS_NAME {
            return first.output_dims(&[]).ok()?.into_iter().next();
        }
        let shape = first.base().input_shape.clone()?;
        Some(Dims(std::iter::once(None).chain(shape).collect()))
    }

    /// Whether it can be built without seeing data.
    pub fn states_its_input(&self) -> bool {
        matches!(self.connections, Connections::Functional(_)) || self.input_dims().is_some()
    }

    /// The calls of a functional model (see [`Functional::calls`]); `None` for a stack.
    pub fn functional(&self) -> Option<&Functional> {
        match &self.connections {
            Connections::Stack(_) => None,
            Connections::Functional(functional) => Some(functional),
        }
    }

    /// Connects the layers and infers every shape. `input` is the shape of the data, used where the
    /// first layer states none.
    pub fn graph(&self, input: Option<&Dims>) -> Result<Graph> {
        let layers = match &self.connections {
            Connections::Stack(layers) => layers,
            Connections::Functional(functional) => return functional.graph(),
        };
        let dims = self.input_dims().or_else(|| input.cloned()).ok_or_else(|| {
            Error::config(
                "",
                "the shape of the input is not known: give the first layer `.input_shape([..])`, or \
                 call `fit` or `build` with data first",
            )
        })?;
        let mut graph = Graph::default();
        let mut layers = layers.iter().peekable();
        let input = match layers.next_if(|l| l.class_name() == InputLayer::CLASS_NAME) {
            Some(input) => input.clone(),
            None => Arc::new(InputLayer::of(dims.clone())),
        };
        let id = graph.add(input)?;
        let mut edge = graph.input(id, dims)?;
        for layer in layers {
            if layer.class_name() == InputLayer::CLASS_NAME {
                return Err(Error::config(
                    "",
                    "an InputLayer must be the first layer of a Sequential",
                ));
            }
            let id = graph.add(layer.clone())?;
            edge = match graph.apply(id, &[edge])?.as_slice() {
                [edge] => *edge,
                outputs => {
                    let name = graph.layers().last().map_or("", |l| l.name.as_str());
                    return Err(Error::layer(
                        name,
                        format!(
                            "a Sequential needs layers with one output, this has {}",
                            outputs.len()
                        ),
                    ));
                }
            };
        }
        graph.set_outputs(&[edge]);
        Ok(graph)
    }

    /// Reads Keras's JSON of a model: `{"class_name": "Sequential", "config": {"name", "layers":
    /// [..]}}`, or `"Functional"`. Keys left out take Keras's defaults.
    ///
    /// # Errors
    /// With the JSON path of what is unknown or wrong.
    pub fn from_json(value: &Json) -> Result<Self> {
        let known =
            ["module", "class_name", "config", "registered_name", "build_config", "compile_config"];
        let map = object(value.clone(), "a model")?;
        only(&map, &known)?;
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
        read(object(config, "a model's `config`").map_err(|e| e.under("config"))?)
            .map_err(|e| e.under("config"))
    }

    fn read_stack(map: Map) -> Result<Self> {
        only(&map, &["name", "trainable", "dtype", "layers", "build_input_shape"])?;
        let Some(Json::Array(list)) = map.get("layers") else {
            return Err(Error::config("layers", "a model needs its list of layers"));
        };
        if list.is_empty() {
            return Err(Error::config("layers", "a model needs at least one layer"));
        }
        let mut layers = Vec::new();
        for (index, layer) in list.iter().enumerate() {
            layers.push(from_json(layer).map_err(|e| e.under(&format!("layers[{index}]")))?);
        }
        let stack = |layers| Self { name: name_of(&map), connections: Connections::Stack(layers) };
        let mut model = stack(layers.clone());
        if model.input_dims().is_none()
            && let Some(shape @ Json::Array(_)) = map.get("build_input_shape")
        {
            let dims: Dims = sconce_core::json::parse(shape.clone())
                .map_err(|e| e.under("build_input_shape"))?;
            layers.insert(0, Arc::new(InputLayer::of(dims)));
            model = stack(layers);
        }
        Ok(model)
    }

    fn read_functional(map: Map) -> Result<Self> {
        only(&map, &["name", "trainable", "dtype", "layers", "input_layers", "output_layers"])?;
        let functional = Functional::from_config(&map)?;
        Ok(Self { name: name_of(&map), connections: Connections::Functional(functional) })
    }

    /// Keras's JSON of the model. With a graph (a built model) it carries the names and shapes that
    /// Keras needs to build it again.
    pub fn to_json(&self, graph: Option<&Graph>) -> Result<Json> {
        let stack = match &self.connections {
            Connections::Stack(layers) => layers,
            Connections::Functional(functional) => {
                let built;
                let graph = match graph {
                    Some(graph) => graph,
                    None => {
                        built = functional.graph()?;
                        &built
                    }
                };
                let mut config = Map::new();
                config.insert("name".into(), json!(self.name()));
                config.insert("trainable".into(), json!(true));
                config.extend(functional.to_config(graph)?);
                let inputs = graph.input_dims();
                let shape = if let [one] = inputs.as_slice() { json!(one) } else { json!(inputs) };
                return Ok(json!({
                    "module": "keras.src.models.functional", "class_name": FUNCTIONAL,
                    "config": config, "registered_name": FUNCTIONAL,
                    "build_config": { "input_shape": shape },
                }));
            }
        };
        let mut layers = Vec::new();
        let mut built = Json::Null;
        match graph {
            Some(graph) => {
                for entry in graph.layers() {
                    layers.push(to_json(
                        entry.layer.as_ref(),
                        &entry.name,
                        Some(&entry.build_dims),
                    )?);
                }
                // Keras compares it with that of the input layer.
                built = json!(self.input_dims().as_ref().or(graph.input_dims().first().copied()));
            }
            None => {
                // Names are made as a built model makes them, so that the JSON is complete.
                let mut names = Graph::default();
                for layer in stack {
                    let id = names.add(layer.clone())?;
                    let name = names.layers().get(id).map_or("", |l| l.name.as_str());
                    layers.push(to_json(layer.as_ref(), name, None)?);
                }
            }
        }
        let mut config = json!({
            "name": self.name(), "trainable": true, "dtype": float32_policy(), "layers": layers,
        });
        let mut out = json!({
            "module": "keras", "class_name": SEQUENTIAL, "config": {}, "registered_name": null,
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

fn name_of(map: &Map) -> Option<String> {
    map.get("name").and_then(Json::as_str).map(str::to_string)
}

/// Refuses keys that are not known.
fn only(map: &Map, known: &[&str]) -> Result<()> {
    match map.keys().find(|k| !known.contains(&k.as_str())) {
        None => Ok(()),
        Some(key) => {
            let message = sconce_core::registry::unknown("key", key, known.iter().copied());
            Err(Error::config(key, message))
        }
    }
}
