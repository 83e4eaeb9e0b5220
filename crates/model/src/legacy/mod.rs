//! Models of Keras 1 and 2 in the form of Keras 3: the only place that knows the differences.
//!
//! | old | Keras 3 |
//! |---|---|
//! | `keras_version` and `backend` beside `class_name` | in a file's metadata |
//! | a Sequential's `config` is its list of layers (until 2.2.2) | `{"name", "layers"}` |
//! | `batch_input_shape` of an InputLayer | `batch_shape` |
//! | a call is `[[layer, use, output, kwargs], ..]` (`calls.rs`) | `{"args": [..], "kwargs": {..}}` |
//! | arguments and classes of other names (`arguments.rs`) | |
//! | a Sequential begins with the Merge of others (`merge_first.rs`) | a functional model |
//! | masks of recurrent layers that start from states (`state_masks.rs`) | stated at the call |
//! | operations of TensorFlow as layers (`operations.rs`) | operations of `keras.ops` |
//! | `hard_sigmoid(x)` is `clip(0.2x + 0.5, 0, 1)` | `clip(x/6 + 0.5, 0, 1)` |
//!
//! Source: `get_config` of the classes, `engine/topology.py` of Keras 1.2, `legacy/interfaces.py` of Keras
//! 2.3, `engine/functional.py` of Keras 2.15.

mod arguments;
mod calls;
mod merge_first;
mod operations;
mod state_masks;

use sconce_core::{Error, Json, Result};
use serde_json::{Map, json};
use std::borrow::Cow;
use std::collections::HashSet;

/// A model in the form of Keras 3.
pub struct Translation<'a> {
    /// The model.
    pub model: Cow<'a, Json>,
    /// What was read as something else; nothing for what only changed its place.
    pub changes: Vec<String>,
}

/// The same model in the form of Keras 3; itself, if it is in that form already. `version` is that of the
/// Keras that wrote it, if the file says; the model may say so itself.
///
/// # Errors
/// With the path of an argument that is gone and changes what the model computes.
pub fn translated<'a>(model: &'a Json, version: Option<&str>) -> Result<Translation<'a>> {
    let stated = model.get("keras_version").and_then(Json::as_str);
    let major = version.or(stated).map(major_of);
    if !is_old(model) && major.is_none_or(|major| major > 2) {
        return Ok(Translation { model: Cow::Borrowed(model), changes: Vec::new() });
    }
    let mut model = model.clone();
    if let Some(map) = model.as_object_mut() {
        map.shift_remove("keras_version");
        map.shift_remove("backend");
    }
    let mut translator =
        Translator { is_old: major.is_none_or(|major| major < 3), changes: Changes::default() };
    translator.value(&mut model, "", 0)?;
    Ok(Translation { model: Cow::Owned(model), changes: translator.changes.lines() })
}

/// The major version of Keras in "2.2.4-tf". Files without a version are older than any that has one.
pub fn major_of(version: &str) -> u32 {
    version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(1)
}

/// Whether something of Keras 1 or 2 is in it.
fn is_old(value: &Json) -> bool {
    match value {
        Json::Object(map) => {
            map.contains_key("keras_version")
                || is_class(map, "InputLayer")
                    && config_of(map).is_some_and(|config| config.contains_key(OLD_SHAPE))
                || is_class(map, "Sequential") && map.get("config").is_some_and(Json::is_array)
                || map.get("inbound_nodes").is_some_and(calls::are_old)
                || map.values().any(is_old)
        }
        Json::Array(items) => items.iter().any(is_old),
        _ => false,
    }
}

/// The old `hard_sigmoid` of x is that of Keras 3 of this times x.
pub const HARD_SIGMOID_SCALE: f64 = 1.2;

const OLD_SHAPE: &str = "batch_input_shape";

/// Nesting of JSON that is looked through; the reader of JSON allows no more.
const MAX_DEPTH: usize = 128;

/// Goes through a model and changes it in place.
struct Translator {
    /// Whether Keras 1 or 2 wrote it; Keras 3 writes old forms too, into `.h5` files.
    is_old: bool,
    changes: Changes,
}

/// What was read as something else, and how often.
#[derive(Default)]
struct Changes(Vec<(String, usize)>);

impl Changes {
    fn add(&mut self, what: String) {
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, times)) => *times += 1,
            None => self.0.push((what, 1)),
        }
    }

    fn lines(self) -> Vec<String> {
        let line = |(what, times)| match times {
            1 => what,
            _ => format!("{what} ({times} times)"),
        };
        self.0.into_iter().map(line).collect()
    }
}

impl Translator {
    fn value(&mut self, value: &mut Json, path: &str, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::config(path, "the model is nested too deep"));
        }
        if let Some(plain) = plain_value(value) {
            *value = plain;
        }
        match value {
            Json::Object(map) => {
                if map.get("class_name").is_some_and(Json::is_string) {
                    self.object(map, path)?;
                }
                for (key, value) in map.iter_mut() {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.value(value, &path, depth + 1)?;
                }
                // Last, since it puts layers of Keras 3 in its place.
                if self.is_old && is_class(map, "Activation") {
                    arguments::hard_sigmoid(map, &mut self.changes);
                }
            }
            Json::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(item, &format!("{path}[{index}]"), depth + 1)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A serialized object: a model, a layer, an initializer.
    fn object(&mut self, map: &mut Map<String, Json>, path: &str) -> Result<()> {
        // "Custom>Attention": TensorFlow's name of a registered class.
        if let Some(Json::String(name)) = map.get("class_name").cloned()
            && let Some((_, class)) = name.split_once('>')
        {
            map.insert("class_name".to_string(), class.into());
            map.insert("registered_name".to_string(), name.into());
        }
        if is_of_the_author(map) {
            return Ok(());
        }
        let place =
            |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        let module = map.get("module").and_then(Json::as_str);
        // Modules were moved from version to version; the class says all, except of operations.
        if module.is_some_and(|module| !module.starts_with("keras.src.ops.")) {
            map.shift_remove("module");
            map.shift_remove("registered_name");
        }
        if is_class(map, "Sequential") && merge_first::is_first(map) {
            merge_first::translate(map).map_err(|error| error.under(&place("config")))?;
            self.changes.add("a Sequential of merged models is a functional one".to_string());
        }
        if is_class(map, "Sequential")
            && let Some(config @ Json::Array(_)) = map.get_mut("config")
        {
            *config = json!({ "layers": config.take() });
        }
        operations::translate(map).map_err(|error| error.under(&place("config")))?;
        arguments::translate(map, self.is_old, &place("config"), &mut self.changes)?;
        if self.is_old {
            calls::renumber(map);
        }
        let names: HashSet<String> = layers_of(map).filter_map(name_of).collect();
        for (index, layer) in layers_of(map).enumerate() {
            let path = place(&format!("config.layers[{index}].inbound_nodes"));
            calls::translate(layer, &names).map_err(|error| error.under(&path))?;
        }
        let layers = map.get_mut("config").and_then(|config| config.get_mut("layers"));
        if let (true, Some(Json::Array(layers))) = (self.is_old, layers) {
            for name in state_masks::state(layers) {
                self.changes.add(format!(
                    "the mask of `{name}`, which Keras 3 loses beside initial states, is stated at its call"
                ));
            }
        }
        Ok(())
    }
}

/// The layers that a model lists.
fn layers_of(map: &mut Map<String, Json>) -> impl Iterator<Item = &mut Map<String, Json>> {
    let layers = map.get_mut("config").and_then(|config| config.get_mut("layers"));
    layers.and_then(Json::as_array_mut).into_iter().flatten().filter_map(Json::as_object_mut)
}

fn name_of(layer: &mut Map<String, Json>) -> Option<String> {
    let name = layer.get("name").or_else(|| config_of(layer)?.get("name"));
    name.and_then(Json::as_str).map(str::to_string)
}

fn is_class(map: &Map<String, Json>, class: &str) -> bool {
    map.get("class_name").and_then(Json::as_str) == Some(class)
}

fn config_of(map: &Map<String, Json>) -> Option<&Map<String, Json>> {
    map.get("config").and_then(Json::as_object)
}

/// Whether a class is not one of Keras's, as far as it says.
fn is_of_the_author(map: &Map<String, Json>) -> bool {
    let text = |key: &str| map.get(key).and_then(Json::as_str).unwrap_or_default();
    let foreign =
        !text("module").is_empty() && !format!("{}.", text("module")).starts_with("keras.");
    foreign || text("registered_name").contains('>')
}

/// Tuples and shapes, as Python's JSON encoder of Keras 2 writes them, as lists.
fn plain_value(value: &Json) -> Option<Json> {
    let map = value.as_object()?;
    match map.get("class_name")?.as_str()? {
        "__tuple__" | "TensorShape" => map.get("items").filter(|items| items.is_array()).cloned(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Architecture;

    fn functional() -> Json {
        let input = |name: &str| {
            json!({"class_name": "InputLayer", "name": name, "inbound_nodes": [], "config": {
                "batch_input_shape": [null, 3], "dtype": "float32", "sparse": false,
                "ragged": false, "name": name}})
        };
        let dense = |name: &str, nodes: Json| {
            json!({"class_name": "Dense", "name": name, "inbound_nodes": nodes,
                "config": {"units": 3, "name": name}})
        };
        json!({
            "class_name": "Functional", "keras_version": "2.15.0", "backend": "tensorflow",
            "config": {
                "name": "fun",
                "layers": [
                    input("a"), input("b"),
                    dense("shared", json!([[["a", 0, 0, {}]], [["shared", 0, 0, {}]]])),
                    dense("out", json!([[["shared", 1, 0, {}]]])),
                    dense("other", json!([[["b", 0, 0, {}]]])),
                ],
                "input_layers": [["a", 0, 0], ["b", 0, 0]],
                "output_layers": [["out", 0, 0], ["other", 0, 0]],
            },
        })
    }

    #[test]
    fn a_functional_model_of_keras_2_is_read() {
        let graph = Architecture::from_json(&functional()).unwrap().graph(None).unwrap();
        assert_eq!(graph.input_names(), ["a", "b"]);
        let order: Vec<&str> =
            graph.nodes().iter().map(|node| graph.layers()[node.layer].name()).collect();
        assert_eq!(order.iter().filter(|name| **name == "shared").count(), 2);
        // Written again it is Keras 3's, and needs no translation.
        let written = Architecture::from_json(&functional()).unwrap().to_json(None).unwrap();
        assert!(matches!(translated(&written, None).unwrap().model, Cow::Borrowed(_)));
    }

    #[test]
    fn broken_calls_are_errors_and_no_panics() {
        for node in [json!([]), json!([[]]), json!([3]), json!([["a"]]), json!([["a", -1, 0, 7]])] {
            let mut model = functional();
            model["config"]["layers"][3]["inbound_nodes"] = json!([node]);
            Architecture::from_json(&model).unwrap_err();
        }
    }
}
