//! Keras 2's JSON of models in the form of Keras 3: the only place that knows the difference.
//!
//! | Keras 2 | Keras 3 |
//! |---|---|
//! | `keras_version` and `backend` beside `class_name` | in a file's metadata |
//! | `batch_input_shape` of an InputLayer | `batch_shape` |
//! | a call is `[[layer, use, output, kwargs], ..]` | `{"args": [..], "kwargs": {..}}` |
//!
//! Source: `get_config` of `engine/functional.py` and `engine/input_layer.py` in Keras 2.15.

use sconce_core::Json;
use serde_json::{Map, json};
use std::borrow::Cow;

/// The same model in the form of Keras 3; itself, if it is in that form already.
pub(crate) fn translated(model: &Json) -> Cow<'_, Json> {
    if !is_old(model) {
        return Cow::Borrowed(model);
    }
    let mut model = model.clone();
    if let Some(map) = model.as_object_mut() {
        map.shift_remove("keras_version");
        map.shift_remove("backend");
    }
    translate(&mut model);
    Cow::Owned(model)
}

/// Whether something of Keras 2 is in it.
fn is_old(value: &Json) -> bool {
    match value {
        Json::Object(map) => {
            map.contains_key("keras_version")
                || is_input(map) && config_of(map).is_some_and(|c| c.contains_key(OLD_SHAPE))
                || map.get("inbound_nodes").is_some_and(has_old_calls)
                || map.values().any(is_old)
        }
        Json::Array(items) => items.iter().any(is_old),
        _ => false,
    }
}

const OLD_SHAPE: &str = "batch_input_shape";

fn translate(value: &mut Json) {
    match value {
        Json::Object(map) => {
            if is_input(map)
                && let Some(config) = map.get_mut("config").and_then(Json::as_object_mut)
                && let Some(shape) = config.shift_remove(OLD_SHAPE)
            {
                config.entry("batch_shape").or_insert(shape);
            }
            if let Some(nodes) = map.get_mut("inbound_nodes").filter(|nodes| has_old_calls(nodes)) {
                for node in nodes.as_array_mut().into_iter().flatten() {
                    *node = call(node);
                }
            }
            map.values_mut().for_each(translate);
        }
        Json::Array(items) => items.iter_mut().for_each(translate),
        _ => {}
    }
}

fn is_input(map: &Map<String, Json>) -> bool {
    map.get("class_name").and_then(Json::as_str) == Some("InputLayer")
}

fn config_of(map: &Map<String, Json>) -> Option<&Map<String, Json>> {
    map.get("config").and_then(Json::as_object)
}

fn has_old_calls(nodes: &Json) -> bool {
    nodes.as_array().and_then(|nodes| nodes.first()).is_some_and(Json::is_array)
}

/// One call: a list of tensors, the last member of each the keywords of the call.
fn call(node: &Json) -> Json {
    let tensors = node.as_array().map(Vec::as_slice).unwrap_or_default();
    let kwargs = tensors.first().and_then(|tensor| tensor.get(3)).cloned().unwrap_or(json!({}));
    let tensor = |tensor: &Json| {
        let history: Vec<Json> =
            (0..3).map(|i| tensor.get(i).cloned().unwrap_or_default()).collect();
        json!({"class_name": "__keras_tensor__", "config": {"keras_history": history}})
    };
    let args = match tensors {
        [one] => tensor(one),
        several => several.iter().map(tensor).collect(),
    };
    json!({"args": [args], "kwargs": kwargs})
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
        assert!(matches!(translated(&written), Cow::Borrowed(_)));
    }

    #[test]
    fn several_tensors_are_a_list() {
        let node = json!([["a", 0, 0, {"training": false}], ["b", 1, 2, {}]]);
        let call = call(&node);
        assert_eq!(call["kwargs"], json!({"training": false}));
        assert_eq!(call["args"][0][1]["config"]["keras_history"], json!(["b", 1, 2]));
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
