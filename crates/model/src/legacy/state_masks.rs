//! Masks of recurrent layers that start from given states. Keras 1 and 2 used the mask of the sequence there
//! too; Keras 3 looks for masks only where a call has one tensor. So the call is given its mask, in the form
//! in which Keras 3 writes masks: `NotEqual(ids, 0)`, `Any(NotEqual(x, mask_value), axis=-1)`.

use super::calls::{WITH_STATE, reference};
use sconce_core::Json;
use serde_json::{Map, json};
use std::collections::HashSet;

/// Layers that hand on the mask of their first tensor.
const PASS_MASKS: [&str; 12] = [
    "Activation",
    "BatchNormalization",
    "Bidirectional",
    "Dropout",
    "GRU",
    "GaussianDropout",
    "GaussianNoise",
    "LSTM",
    "LayerNormalization",
    "SimpleRNN",
    "SpatialDropout1D",
    "TimeDistributed",
];

/// What a mask is made of.
struct Source {
    /// The tensor that is compared.
    of: Json,
    /// What does not count.
    hidden: Json,
    /// Whether the last axis holds the values of one step.
    vectors: bool,
}

/// States the masks, and gives the names of the layers that are called with one. The calls are in the form of
/// Keras 3.
pub(super) fn state(layers: &mut Vec<Json>) -> Vec<String> {
    let mut taken: HashSet<String> = layers.iter().filter_map(name).map(str::to_string).collect();
    let mut changed = Vec::new();
    let mut masks = Vec::new();
    for index in 0..layers.len() {
        if !class(&layers[index]).is_some_and(|class| WITH_STATE.contains(&class)) {
            continue;
        }
        let calls = layers[index].get("inbound_nodes").and_then(Json::as_array);
        for call in 0..calls.map_or(0, Vec::len) {
            let node = &layers[index]["inbound_nodes"][call];
            let has = |key: &str| node["kwargs"].get(key).is_some_and(|value| !value.is_null());
            if !has("initial_state") || has("mask") {
                continue;
            }
            let Some(source) = find(layers, &node["args"][0], layers.len()) else { continue };
            let of = name(&layers[index]).unwrap_or_default();
            let mask = add(&mut masks, &mut taken, of, source);
            if let Some(kwargs) = layers[index]["inbound_nodes"][call]["kwargs"].as_object_mut() {
                kwargs.insert("mask".to_string(), mask);
                changed.extend(name(&layers[index]).map(str::to_string));
            }
        }
    }
    layers.extend(masks);
    changed
}

fn name(layer: &Json) -> Option<&str> {
    layer.get("name").or_else(|| layer.get("config")?.get("name"))?.as_str()
}

fn class(layer: &Json) -> Option<&str> {
    layer.get("class_name")?.as_str()
}

/// Where the mask of a tensor comes from; `steps` more layers are looked at.
fn find(layers: &[Json], tensor: &Json, steps: usize) -> Option<Source> {
    let history = tensor.get("config")?.get("keras_history")?;
    let (of, number) = (history.get(0)?.as_str()?, history.get(1)?.as_u64()?);
    let layer = layers.iter().find(|layer| name(layer) == Some(of))?;
    let config = layer.get("config")?;
    let first =
        layer.get("inbound_nodes")?.get(usize::try_from(number).ok()?)?.get("args")?.get(0)?;
    match class(layer)? {
        "Embedding" if config.get("mask_zero") == Some(&json!(true)) => {
            Some(Source { of: first.clone(), hidden: json!(0), vectors: false })
        }
        "Masking" => {
            let hidden = config.get("mask_value").cloned().unwrap_or(json!(0.0));
            Some(Source { of: first.clone(), hidden, vectors: true })
        }
        class if PASS_MASKS.contains(&class) => find(layers, first, steps.checked_sub(1)?),
        _ => None,
    }
}

/// Adds the layers of the mask of layer `of`, and gives its tensor. Their names begin with that layer's, since
/// Keras itself makes a `not_equal` of each Embedding that masks.
fn add(masks: &mut Vec<Json>, taken: &mut HashSet<String>, of: &str, source: Source) -> Json {
    let mut operation = |class: &str, args: Json, config: Map<String, Json>| {
        let stem = format!("{of}_{}", sconce_core::names::snake_case(class));
        let name = std::iter::once(stem.clone())
            .chain((1..).map(|i| format!("{stem}_{i}")))
            .find(|name| taken.insert(name.clone()))
            .unwrap_or(stem);
        let mut full = Map::from_iter([("name".to_string(), json!(name))]);
        full.extend(config);
        masks.push(json!({
            "module": "keras.src.ops.numpy",
            "class_name": class,
            "config": full,
            "registered_name": class,
            "name": name,
            "inbound_nodes": [{"args": args, "kwargs": {}}],
        }));
        reference(&json!(name), &json!(0), &json!(0))
    };
    let differs = operation("NotEqual", json!([source.of, source.hidden]), Map::new());
    match source.vectors {
        false => differs,
        true => {
            let config = [("axis", json!(-1)), ("keepdims", json!(false))];
            let config = config.map(|(key, value)| (key.to_string(), value));
            operation("Any", json!([differs]), Map::from_iter(config))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(class: &str, name: &str, config: Json, args: Json, kwargs: Json) -> Json {
        json!({"class_name": class, "name": name, "config": config,
               "inbound_nodes": [{"args": args, "kwargs": kwargs}]})
    }

    fn tensor(name: &str) -> Json {
        reference(&json!(name), &json!(0), &json!(0))
    }

    #[test]
    fn the_mask_of_an_embedding_is_stated_beside_states() {
        let start = json!({"initial_state": [tensor("h")]});
        let mut layers = vec![
            layer(
                "Embedding",
                "words",
                json!({"mask_zero": true}),
                json!([tensor("x")]),
                json!({}),
            ),
            layer("Dropout", "drop", json!({}), json!([tensor("words")]), json!({})),
            layer("GRU", "gru", json!({}), json!([tensor("drop")]), start.clone()),
            layer("GRU", "alone", json!({}), json!([tensor("drop")]), json!({})),
            layer("Embedding", "gru_not_equal", json!({}), json!([tensor("x")]), json!({})),
            layer("GRU", "unmasked", json!({}), json!([tensor("gru_not_equal")]), start),
        ];
        assert_eq!(state(&mut layers), ["gru"]);
        assert_eq!(layers[2]["inbound_nodes"][0]["kwargs"]["mask"], tensor("gru_not_equal_1"));
        assert_eq!(layers.len(), 7);
        assert_eq!(layers[6]["inbound_nodes"][0]["args"], json!([tensor("x"), 0]));
    }

    #[test]
    fn the_mask_of_masking_is_that_of_any_value() {
        let start = json!({"initial_state": [tensor("h")], "mask": null});
        let mut layers = vec![
            layer(
                "Masking",
                "padded",
                json!({"mask_value": -1.0}),
                json!([tensor("x")]),
                json!({}),
            ),
            layer("LSTM", "lstm", json!({}), json!([tensor("padded")]), start),
        ];
        assert_eq!(state(&mut layers), ["lstm"]);
        assert_eq!(layers[2]["inbound_nodes"][0]["args"], json!([tensor("x"), -1.0]));
        assert_eq!(layers[3]["config"]["axis"], -1);
        assert_eq!(layers[1]["inbound_nodes"][0]["kwargs"]["mask"], tensor("lstm_any"));
    }
}
