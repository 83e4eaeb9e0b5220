//! How a model is stated, before it has weights, and its JSON in Keras's form.

use crate::graph::Graph;
use sconce_core::registry::object;
use sconce_core::{Dims, Error, Json, Result};
use sconce_layers::layer::{float32_policy, from_json, to_json};
use sconce_layers::{InputLayer, Layer};
use serde_json::json;
use std::sync::Arc;

/// Layers and how they are connected.
#[derive(Clone, Default)]
pub struct Architecture {
    name: Option<String>,
    layers: Vec<Arc<dyn Layer>>,
}

impl Architecture {
    /// A stack of layers, each fed by the one before it (Keras's Sequential).
    pub fn sequential() -> Self {
        Self::default()
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("sequential")
    }

    /// Names the model.
    pub fn set_name(&mut self, name: &str) {
        self.name = Some(name.to_string());
    }

    /// Adds a layer on top.
    pub fn add(&mut self, layer: Arc<dyn Layer>) {
        self.layers.push(layer);
    }

    /// The shape of the input, if the first layer states it.
    pub fn input_dims(&self) -> Option<Dims> {
        let first = self.layers.first()?;
        if first.class_name() == InputLayer::CLASS_NAME {
            return first.output_dims(&[]).ok()?.into_iter().next();
        }
        let shape = first.base().input_shape.clone()?;
        Some(Dims(std::iter::once(None).chain(shape).collect()))
    }

    /// Connects the layers and infers every shape. `input` is the shape of the data, used where the
    /// first layer states none.
    pub fn graph(&self, input: Option<&Dims>) -> Result<Graph> {
        let dims = self.input_dims().or_else(|| input.cloned()).ok_or_else(|| {
            Error::config(
                "",
                "the shape of the input is not known: give the first layer `.input_shape([..])`, or \
                 call `fit` or `build` with data first",
            )
        })?;
        let mut graph = Graph::default();
        let mut layers = self.layers.iter().peekable();
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

    /// Reads Keras's JSON of a Sequential model: `{"class_name": "Sequential", "config": {"name",
    /// "layers": [..]}}`. Keys left out take Keras's defaults.
    ///
    /// # Errors
    /// With the JSON path of what is unknown or wrong.
    pub fn from_json(value: &Json) -> Result<Self> {
        let known =
            ["module", "class_name", "config", "registered_name", "build_config", "compile_config"];
        let map = object(value.clone(), "a model")?;
        if let Some(key) = map.keys().find(|k| !known.contains(&k.as_str())) {
            return Err(Error::config(key, sconce_core::registry::unknown("key", key, known)));
        }
        match map.get("class_name").and_then(Json::as_str) {
            Some("Sequential") => {}
            Some(other) => {
                let message = sconce_core::registry::unknown("model class", other, ["Sequential"]);
                return Err(Error::config("class_name", message));
            }
            None => {
                return Err(Error::config("class_name", "a model needs its class: \"Sequential\""));
            }
        }
        let config = map.get("config").cloned().unwrap_or(json!({}));
        Self::from_config(config).map_err(|e| e.under("config"))
    }

    fn from_config(config: Json) -> Result<Self> {
        let known = ["name", "trainable", "dtype", "layers", "build_input_shape"];
        let map = object(config, "a model's `config`")?;
        if let Some(key) = map.keys().find(|k| !known.contains(&k.as_str())) {
            return Err(Error::config(key, sconce_core::registry::unknown("key", key, known)));
        }
        let mut model = Self {
            name: map.get("name").and_then(Json::as_str).map(str::to_string),
            layers: Vec::new(),
        };
        let Some(Json::Array(layers)) = map.get("layers") else {
            return Err(Error::config("layers", "a model needs its list of layers"));
        };
        for (index, layer) in layers.iter().enumerate() {
            let layer = from_json(layer).map_err(|e| e.under(&format!("layers[{index}]")))?;
            model.add(layer);
        }
        if model.input_dims().is_none()
            && let Some(shape @ Json::Array(_)) = map.get("build_input_shape")
        {
            let dims: Dims = sconce_core::json::parse(shape.clone())
                .map_err(|e| e.under("build_input_shape"))?;
            model.layers.insert(0, Arc::new(InputLayer::of(dims)));
        }
        Ok(model)
    }

    /// Keras's JSON of the model. With a graph (a built model) it carries the names and shapes that
    /// Keras needs to build it again.
    pub fn to_json(&self, graph: Option<&Graph>) -> Result<Json> {
        let mut layers = Vec::new();
        let mut built = Json::Null;
        match graph {
            Some(graph) => {
                for entry in graph.layers() {
                    let mut layer =
                        to_json(entry.layer.as_ref(), &entry.name, Some(&entry.build_dims))?;
                    if let Some(config) = layer.get_mut("config").and_then(Json::as_object_mut) {
                        config.insert("name".into(), entry.name.clone().into());
                    }
                    layers.push(layer);
                }
                built = json!(graph.input_dims().first());
            }
            None => {
                // Names are made as a built model makes them, so that the JSON is complete.
                let mut names = Graph::default();
                for layer in &self.layers {
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
            "module": "keras", "class_name": "Sequential", "config": {}, "registered_name": null,
        });
        if !built.is_null() {
            config["build_input_shape"] = built.clone();
            out["build_config"] = json!({ "input_shape": built });
        }
        out["config"] = config;
        Ok(out)
    }
}
