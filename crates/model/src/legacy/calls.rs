//! The calls of layers in functional models of Keras 1 and 2.
//!
//! A call is `[[layer, use, output, kwargs], ..]`, or one such list where TensorFlow's operations are layers;
//! keywords hold tensors as `[layer, use, output]`.

use sconce_core::{Error, Json, Result};
use serde_json::{Map, json};
use std::collections::HashSet;

/// Layers whose further tensors are not inputs but the state to start from.
const WITH_STATE: [&str; 7] =
    ["LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM2D", "StackedRNNCells"];

/// What stands for a layer where an argument is a number.
const CONSTANT: &str = "_CONSTANT_VALUE";

/// Whether a layer's `inbound_nodes` are in the old form.
pub(super) fn are_old(nodes: &Json) -> bool {
    nodes.as_array().and_then(|nodes| nodes.first()).is_some_and(Json::is_array)
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

fn reference(name: &Json, number: &Json, output: &Json) -> Json {
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
}
