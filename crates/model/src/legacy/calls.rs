//! The calls of layers in functional models of Keras 1 and 2.
//!
//! A call is `[[layer, use, output, kwargs], ..]`, or one such list where TensorFlow's operations are layers;
//! keywords hold tensors as `[layer, use, output]`.

use sconce_core::{Error, Json, Result};
use serde_json::{Map, json};
use std::collections::{HashMap, HashSet};

/// Layers whose further tensors are not inputs but the state to start from.
pub(super) const WITH_STATE: [&str; 7] =
    ["LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM2D", "StackedRNNCells"];

/// What stands for a layer where an argument is a number.
const CONSTANT: &str = "_CONSTANT_VALUE";

/// Whether a layer's `inbound_nodes` are in the old form.
pub(super) fn are_old(nodes: &Json) -> bool {
    nodes.as_array().and_then(|nodes| nodes.first()).is_some_and(Json::is_array)
}

/// Counts the uses of models as layers from 0, as Keras 3 does but for a functional model's outputs.
///
/// Keras 1 and 2 counted from 1 a model that had been called once already, when it was made: all of them but
/// a Sequential that did not know its input.
pub(super) fn renumber(model: &mut Map<String, Json>) {
    let Some(config) = model.get_mut("config").and_then(Json::as_object_mut) else { return };
    let mut inner: HashMap<String, Inner> = HashMap::new();
    for layer in config.get("layers").and_then(Json::as_array).into_iter().flatten() {
        let text = |value: Option<&Json>| value.and_then(Json::as_str).map(str::to_string);
        let class = text(layer.get("class_name")).unwrap_or_default();
        let is_functional = ["Functional", "Model"].contains(&class.as_str());
        if let Some(name) = text(layer.get("name"))
            && (is_functional || class == "Sequential")
        {
            inner.insert(name, Inner { is_functional, counts_from_0: false });
        }
    }
    if inner.is_empty() {
        return;
    }
    let mut see = |name: &str, number: &mut Json| {
        if let Some(model) = inner.get_mut(name) {
            model.counts_from_0 |= number.as_u64() == Some(0);
        }
    };
    for_uses(config, &mut |name, number, _| see(name, number));
    for_uses(config, &mut |name, number, is_output| {
        let (Some(model), Some(now)) = (inner.get(name), number.as_u64()) else { return };
        let from_0 = if model.counts_from_0 { now } else { now.saturating_sub(1) };
        *number = (from_0.saturating_add(u64::from(is_output && model.is_functional))).into();
    });
}

struct Inner {
    is_functional: bool,
    counts_from_0: bool,
}

/// Calls `see(layer, use, whether it is an output)` for every tensor that the configuration of a model names.
fn for_uses(config: &mut Map<String, Json>, see: &mut dyn FnMut(&str, &mut Json, bool)) {
    for (key, value) in config.iter_mut() {
        match key.as_str() {
            "output_layers" => for_tensors(value, &mut |name, number| see(name, number, true)),
            "layers" => {
                for layer in value.as_array_mut().into_iter().flatten() {
                    if let Some(nodes) = layer.get_mut("inbound_nodes") {
                        for_tensors(nodes, &mut |name, number| see(name, number, false));
                    }
                }
            }
            _ => {}
        }
    }
}

fn for_tensors(value: &mut Json, see: &mut dyn FnMut(&str, &mut Json)) {
    match value {
        Json::Array(items) => match items.as_mut_slice() {
            [Json::String(name), number @ Json::Number(_), Json::Number(_), ..] => {
                see(name, number);
                items.iter_mut().skip(3).for_each(|kwargs| for_tensors(kwargs, see));
            }
            items => items.iter_mut().for_each(|item| for_tensors(item, see)),
        },
        Json::Object(map) => map.values_mut().for_each(|item| for_tensors(item, see)),
        _ => {}
    }
}

/// The calls of a layer in the form of Keras 3. `names` are those of the model's layers.
pub(super) fn translate(layer: &mut Map<String, Json>, names: &HashSet<String>) -> Result<()> {
    let takes_state = layer
        .get("class_name")
        .and_then(Json::as_str)
        .is_some_and(|class| WITH_STATE.contains(&class));
    let Some(nodes) = layer.get_mut("inbound_nodes").filter(|nodes| are_old(nodes)) else {
        return Ok(());
    };
    for (index, node) in nodes.as_array_mut().into_iter().flatten().enumerate() {
        *node =
            call(node, names, takes_state).map_err(|error| error.under(&format!("[{index}]")))?;
    }
    Ok(())
}

fn call(node: &Json, names: &HashSet<String>, takes_state: bool) -> Result<Json> {
    let one = [node.clone()];
    let tensors = match node {
        Json::Array(items) if items.first().is_some_and(Json::is_string) => one.as_slice(),
        Json::Array(items) => items,
        _ => {
            let message = format!("expected [[layer, use, output, keywords], ..], got {node}");
            return Err(Error::config("", message));
        }
    };
    let mut kwargs = Map::new();
    let mut inputs = Vec::new();
    for tensor in tensors {
        inputs.push(input(tensor)?);
        if let Some(Json::Object(given)) = tensor.get(3) {
            kwargs.extend(
                given
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| (key.clone(), keyword(value, names))),
            );
        }
    }
    if takes_state && inputs.len() > 1 {
        let state = inputs.split_off(1);
        kwargs.insert("initial_state".to_string(), state.into());
    }
    let args = match inputs.len() {
        1 => inputs.remove(0),
        _ => inputs.into(),
    };
    Ok(json!({"args": [args], "kwargs": kwargs}))
}

fn input(tensor: &Json) -> Result<Json> {
    let wrong =
        || Error::config("", format!("expected [layer, use, output, keywords], got {tensor}"));
    let parts = tensor.as_array().ok_or_else(wrong)?;
    match parts.as_slice() {
        [Json::String(name), _, value, ..] if name == CONSTANT => Ok(value.clone()),
        [name, number, output, ..] => Ok(reference(name, number, output)),
        _ => Err(wrong()),
    }
}

pub(super) fn reference(name: &Json, number: &Json, output: &Json) -> Json {
    let history = [name, number, output];
    json!({"class_name": "__keras_tensor__", "config": {"keras_history": history}})
}

/// A keyword's value, in which lists that name a layer of the model are tensors.
fn keyword(value: &Json, names: &HashSet<String>) -> Json {
    match value {
        Json::Array(items) => match items.as_slice() {
            [Json::String(name), number @ Json::Number(_), output @ Json::Number(_)]
            | [
                Json::String(name),
                number @ Json::Number(_),
                output @ Json::Number(_),
                Json::Object(_),
            ] if names.contains(name) => reference(&json!(name), number, output),
            items => items.iter().map(|item| keyword(item, names)).collect(),
        },
        Json::Object(map) => {
            map.iter().map(|(key, item)| (key.clone(), keyword(item, names))).collect()
        }
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> HashSet<String> {
        ["a", "b"].map(str::to_string).into()
    }

    #[test]
    fn several_tensors_are_a_list() {
        let node = json!([["a", 0, 0, {"training": false}], ["b", 1, 2, {}]]);
        let call = call(&node, &names(), false).unwrap();
        assert_eq!(call["kwargs"], json!({"training": false}));
        assert_eq!(call["args"][0][1]["config"]["keras_history"], json!(["b", 1, 2]));
    }

    #[test]
    fn keywords_hold_tensors_and_plain_values() {
        let node = json!(["a", 0, 0, {"y": ["b", 0, 0], "axis": [1, 2], "name": null}]);
        let call = call(&node, &names(), false).unwrap();
        assert_eq!(call["args"][0]["config"]["keras_history"], json!(["a", 0, 0]));
        assert_eq!(call["kwargs"]["y"]["config"]["keras_history"], json!(["b", 0, 0]));
        assert_eq!(call["kwargs"]["axis"], json!([1, 2]));
        assert!(call["kwargs"].get("name").is_none());
    }

    #[test]
    fn further_tensors_of_a_recurrent_layer_are_its_state() {
        let node = json!([["a", 0, 0, {}], ["b", 0, 1, {}], ["b", 0, 2, {}]]);
        let call = call(&node, &names(), true).unwrap();
        assert_eq!(call["args"][0]["config"]["keras_history"], json!(["a", 0, 0]));
        let state = &call["kwargs"]["initial_state"];
        assert_eq!(state[1]["config"]["keras_history"], json!(["b", 0, 2]));
    }

    /// Models inside models were called once when they were made, unless they did not know their input.
    #[test]
    fn uses_of_models_count_from_0() {
        for (class, stated, expected_use, expected_output) in
            [("Model", 1, 0, 1), ("Sequential", 1, 0, 0), ("Sequential", 0, 0, 0)]
        {
            let mut model = json!({"class_name": "Model", "config": {
                "layers": [
                    {"class_name": class, "name": "inner", "inbound_nodes": [[["a", 0, 0, {}]]]},
                    {"class_name": "Dense", "name": "b", "inbound_nodes": [[["inner", stated, 0, {}]]]},
                ],
                "output_layers": [["inner", stated, 0], ["b", 0, 0]],
            }});
            renumber(model.as_object_mut().unwrap());
            let config = &model["config"];
            assert_eq!(config["layers"][1]["inbound_nodes"][0][0][1], expected_use, "{class}");
            assert_eq!(
                config["output_layers"],
                json!([["inner", expected_output, 0], ["b", 0, 0]])
            );
        }
    }
}
