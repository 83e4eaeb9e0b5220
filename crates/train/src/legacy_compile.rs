//! How a model was compiled, in the words of Keras 1 and 2 and of the older HDF5 format, as Keras 3 says it.
//!
//! Source: `training_config` in `saving_utils.py` and `get_config` of the optimizers in Keras 1.2 to 2.15.

use crate::metrics::Metrics;
use sconce_core::{Error, Json, Kind, Result};
use serde_json::{Map, json};

/// Keras 3's `compile_config` of a file's. `version`: that of the Keras that wrote it.
///
/// # Errors
/// An argument of the optimizer that is gone and changes how it learns.
pub(crate) fn translated(config: &Json, version: &str) -> Result<Json> {
    let mut out = config.as_object().cloned().unwrap_or_default();
    if let Some(optimizer) = out.shift_remove("optimizer_config") {
        out.insert("optimizer".to_string(), optimizer);
    }
    out.shift_remove("sample_weight_mode");
    for key in ["run_eagerly", "steps_per_execution", "jit_compile"] {
        if out.get(key).is_some_and(Json::is_null) {
            out.shift_remove(key);
        }
    }
    if let Some(optimizer) = out.get_mut("optimizer").and_then(Json::as_object_mut) {
        translate_optimizer(optimizer, version).map_err(|e| e.under("optimizer"))?;
    }
    for key in ["loss", "metrics", "weighted_metrics"] {
        if let Some(value) = out.get_mut(key) {
            functions(value);
        }
    }
    for key in ["metrics", "weighted_metrics"] {
        // Of a model with one output, Keras 2 writes a list of one list.
        if let Some(Json::Array(outer)) = out.get_mut(key)
            && let [Json::Array(inner)] = outer.as_mut_slice()
        {
            *outer = std::mem::take(inner);
        }
    }
    Ok(Json::Object(out))
}

fn translate_optimizer(optimizer: &mut Map<String, Json>, version: &str) -> Result<()> {
    if let Some(Json::String(class)) = optimizer.get_mut("class_name") {
        *class = class.strip_prefix("Custom>").unwrap_or(class).to_string();
    }
    optimizer.shift_remove("registered_name");
    optimizer.shift_remove("module");
    let class = optimizer.get("class_name").and_then(Json::as_str).unwrap_or_default().to_string();
    let Some(config) = optimizer.get_mut("config").and_then(Json::as_object_mut) else {
        return Ok(());
    };
    for key in ["is_legacy_optimizer", "jit_compile", "name"] {
        config.shift_remove(key);
    }
    if config.get("epsilon").is_some_and(Json::is_null) {
        config.shift_remove("epsilon");
    }
    for (old, new) in [("lr", "learning_rate")] {
        if let Some(value) = config.shift_remove(old) {
            config.entry(new).or_insert(value);
        }
    }
    // Before TensorFlow's optimizers, one norm was that of all gradients together.
    if is_before_tensorflow(version)
        && let Some(norm) = config.shift_remove("clipnorm")
    {
        config.insert("global_clipnorm".to_string(), norm);
    }
    if class == "Adagrad" {
        config.entry("initial_accumulator_value").or_insert(json!(0.0));
    }
    // TensorFlow's Nadam called it `decay`.
    let keys = ["schedule_decay", "decay"].into_iter().filter(|_| class == "Nadam");
    for key in keys {
        if let Some(decay) = config.shift_remove(key).filter(|decay| decay.as_f64() != Some(1.0)) {
            let message = format!(
                "the momentum of Nadam followed 0.96^({decay} t), that of Keras 3 follows 0.96^t; compile the \
                 model anew to train it on"
            );
            return Err(Error::config(format!("config.{key}"), message));
        }
    }
    let decay = config.shift_remove("decay").and_then(|decay| decay.as_f64()).unwrap_or_default();
    if decay != 0.0 {
        let rate = config.get("learning_rate").cloned().unwrap_or(json!(0.001));
        let schedule = json!({"class_name": "InverseTimeDecay", "config": {
            "initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay, "staircase": false,
        }});
        config.insert("learning_rate".to_string(), schedule);
    }
    Ok(())
}

/// Keras on its own until 2.3; tf.keras called itself "2.2.4-tf".
fn is_before_tensorflow(version: &str) -> bool {
    let old = ["1", "2.0.", "2.1.", "2.2.", "2.3."].iter().any(|start| version.starts_with(start));
    old && !version.ends_with("-tf")
}

/// Losses and metrics that wrap a function.
fn functions(value: &mut Json) {
    match value {
        Json::Array(items) => items.iter_mut().for_each(functions),
        Json::Object(map) => {
            let class = map.get("class_name").and_then(Json::as_str);
            if class.is_none() {
                return map.values_mut().for_each(functions);
            }
            let wraps = matches!(class, Some("MeanMetricWrapper" | "LossFunctionWrapper"));
            let Some(config) = map.get_mut("config").and_then(Json::as_object_mut) else { return };
            let function = config.shift_remove("fn");
            if config.get("reduction").is_some_and(|reduction| reduction == "auto") {
                config.insert("reduction".to_string(), json!("sum_over_batch_size"));
            }
            let Some(Json::String(function)) = function.filter(|_| wraps) else { return };
            match Metrics::find(&function) {
                Some(entry) => {
                    let name = config.get("name").cloned();
                    *value = json!({"class_name": entry.class_name, "config": {"name": name}});
                }
                None => *value = function.into(),
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Compile;

    #[test]
    fn decay_is_a_schedule_and_clipnorm_was_of_all_gradients() {
        let old = json!({
            "optimizer_config": {"class_name": "SGD", "config": {
                "lr": 0.1, "momentum": 0.9, "decay": 1e-3, "nesterov": true, "clipnorm": 2.0}},
            "loss": "mse", "metrics": ["accuracy"], "sample_weight_mode": null, "loss_weights": null,
        });
        let new = translated(&old, "2.2.4").unwrap();
        let config = &new["optimizer"]["config"];
        assert_eq!(config["learning_rate"]["class_name"], "InverseTimeDecay");
        assert_eq!(config["learning_rate"]["config"]["decay_rate"], 1e-3);
        assert_eq!(config["global_clipnorm"], 2.0);
        Compile::from_json(&new).unwrap();
        let of_tensorflow = translated(&old, "2.2.4-tf").unwrap();
        assert_eq!(of_tensorflow["optimizer"]["config"]["clipnorm"], 2.0);
    }

    #[test]
    fn wrapped_functions_are_the_metrics_of_their_names() {
        let old = json!({
            "optimizer_config": {"class_name": "Custom>Adam", "config": {
                "name": "Adam", "learning_rate": 0.001, "is_legacy_optimizer": false, "jit_compile": true}},
            "loss": {"class_name": "BinaryCrossentropy", "config": {
                "reduction": "auto", "name": "binary_crossentropy", "from_logits": true,
                "label_smoothing": 0, "fn": "binary_crossentropy"}},
            "metrics": [[{"class_name": "MeanMetricWrapper", "config": {
                "name": "accuracy", "dtype": "float32", "fn": "binary_accuracy"}}]],
        });
        let new = translated(&old, "2.11.0").unwrap();
        assert_eq!(new["metrics"][0]["class_name"], "BinaryAccuracy");
        assert_eq!(new["metrics"][0]["config"]["name"], "accuracy");
        Compile::from_json(&new).unwrap();
    }

    #[test]
    fn what_keras_3_cannot_say_is_refused() {
        for key in ["schedule_decay", "decay"] {
            let old = json!({"optimizer_config": {"class_name": "Nadam", "config": {key: 0.004}}});
            let error = translated(&old, "2.2.4").unwrap_err().to_string();
            assert!(error.contains(&format!("optimizer.config.{key}")), "{error}");
        }
    }
}
