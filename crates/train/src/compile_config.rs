//! `compile` as JSON: Keras's `compile_config`, and the `compile` part of run configurations.

use crate::compile::Compile;
use crate::losses::LossFn;
use crate::metrics::MetricFn;
use crate::optimizers::Optimizer;
use sconce_core::{Error, Json, Result, json};
use serde::Deserialize;

/// How Keras runs a compiled model. Sconce has one way to run and reads none of it; it is kept so
/// that Keras finds it again in the files it opens.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    /// Whether Keras runs operation by operation.
    pub run_eagerly: bool,
    /// Batches Keras runs in one call.
    pub steps_per_execution: u64,
    /// Whether Keras compiles the step; `None`: Keras decides (`"auto"`).
    pub jit_compile: Option<bool>,
}

impl Default for Execution {
    fn default() -> Self {
        Self { run_eagerly: false, steps_per_execution: 1, jit_compile: None }
    }
}

/// The keys of the JSON, with Keras's defaults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    optimizer: Json,
    loss: Json,
    loss_weights: Json,
    metrics: Json,
    weighted_metrics: Json,
    run_eagerly: bool,
    steps_per_execution: u64,
    jit_compile: Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            optimizer: "rmsprop".into(),
            loss: Json::Null,
            loss_weights: Json::Null,
            metrics: Json::Null,
            weighted_metrics: Json::Null,
            run_eagerly: false,
            steps_per_execution: 1,
            jit_compile: "auto".into(),
        }
    }
}

impl Compile {
    /// Reads Keras's `compile_config`:
    /// `{"optimizer": "adam", "loss": "mse", "metrics": ["accuracy"], ...}`. Parts are names or
    /// `{"class_name": ..., "config": {...}}`; keys left out take Keras's defaults. What Keras keeps
    /// by output, in a list or under a name, may be there for one output.
    ///
    /// # Errors
    /// With the JSON path of what is unknown or wrong, and the nearest known name.
    pub fn from_json(value: &Json) -> Result<Self> {
        let config: Config = json::parse(value.clone())?;
        let (key, loss) = single(&config.loss, "loss")?;
        if loss.is_null() {
            return Err(Error::config("loss", "a loss is needed to train, such as \"mse\""));
        }
        let optimizer = Optimizer::from_json(&config.optimizer);
        let loss = LossFn::from_json(loss).map_err(|e| e.under(&key))?;
        let mut compile = Self::new(optimizer.map_err(|e| e.under("optimizer"))?, loss);
        compile.loss_weights = factor(&config.loss_weights)?;
        compile.metrics = metrics(&config.metrics, "metrics")?;
        compile.weighted_metrics = metrics(&config.weighted_metrics, "weighted_metrics")?;
        compile.execution = execution(&config)?;
        Ok(compile)
    }

    /// Keras's `compile_config`.
    ///
    /// # Errors
    /// If a part is the user's own code, which no file can hold.
    pub fn to_json(&self) -> Result<Json> {
        let metrics = |key: &str, parts: &[MetricFn]| -> Result<Json> {
            let json = |(index, part): (usize, &MetricFn)| {
                part.to_json().map_err(|e| e.under(&format!("{key}[{index}]")))
            };
            let list = parts.iter().enumerate().map(json).collect::<Result<Vec<_>>>()?;
            Ok(if list.is_empty() { Json::Null } else { Json::Array(list) })
        };
        Ok(serde_json::json!({
            "optimizer": self.optimizer.to_json().map_err(|e| e.under("optimizer"))?,
            "loss": self.loss.to_json().map_err(|e| e.under("loss"))?,
            "loss_weights": self.loss_weights,
            "metrics": metrics("metrics", &self.metrics)?,
            "weighted_metrics": metrics("weighted_metrics", &self.weighted_metrics)?,
            "run_eagerly": self.execution.run_eagerly,
            "steps_per_execution": self.execution.steps_per_execution,
            "jit_compile": self.execution.jit_compile.map_or("auto".into(), Json::Bool),
        }))
    }
}

fn execution(config: &Config) -> Result<Execution> {
    if config.steps_per_execution == 0 {
        return Err(Error::config("steps_per_execution", "must be at least 1, found 0"));
    }
    let jit_compile = match &config.jit_compile {
        Json::Bool(always) => Some(*always),
        Json::String(word) if word == "auto" => None,
        other => {
            let message = format!("must be true, false or \"auto\", found {other}");
            return Err(Error::config("jit_compile", message));
        }
    };
    let Config { run_eagerly, steps_per_execution, .. } = *config;
    Ok(Execution { run_eagerly, steps_per_execution, jit_compile })
}

/// What stands for the one output: the value itself, the only element of a list, or the only entry
/// of an object by output name. And its JSON path.
fn single<'a>(value: &'a Json, key: &str) -> Result<(String, &'a Json)> {
    let several = |count: usize| {
        let message = format!("one {key} for the one output is needed, found {count}");
        Err(Error::config(key, message))
    };
    match value {
        Json::Array(list) => match list.as_slice() {
            [one] => Ok((format!("{key}[0]"), one)),
            list => several(list.len()),
        },
        Json::Object(map) if !map.contains_key("class_name") => {
            match map.iter().collect::<Vec<_>>().as_slice() {
                [(name, one)] => Ok((format!("{key}.{name}"), one)),
                entries => several(entries.len()),
            }
        }
        value => Ok((key.to_string(), value)),
    }
}

/// The factor on the loss.
fn factor(value: &Json) -> Result<Option<f64>> {
    match single(value, "loss_weights")? {
        (_, Json::Null) => Ok(None),
        (key, value) => match value.as_f64() {
            Some(factor) => Ok(Some(factor)),
            None => Err(Error::config(key, format!("must be a number, found {value}"))),
        },
    }
}

/// A list of metrics, or such a list inside a list or under the name of the one output.
fn metrics(value: &Json, key: &str) -> Result<Vec<MetricFn>> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let by_output = match value {
        Json::Array(list) => matches!(list.as_slice(), [Json::Array(_)]),
        value => !is_part(value),
    };
    let (key, value) = if by_output { single(value, key)? } else { (key.to_string(), value) };
    let list = match value {
        Json::Array(list) => list.as_slice(),
        one if is_part(one) => std::slice::from_ref(one),
        other => {
            return Err(Error::config(key, format!("must be a list of metrics, found {other}")));
        }
    };
    let metric = |(index, metric)| {
        let place = if value.is_array() { format!("{key}[{index}]") } else { key.clone() };
        MetricFn::from_json(metric).map_err(|e: Error| e.under(&place))
    };
    list.iter().enumerate().map(metric).collect()
}

/// Whether a value states one part, rather than parts by output.
fn is_part(value: &Json) -> bool {
    value.is_string() || value.get("class_name").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What Keras 3.15.1 writes.
    fn keras() -> Json {
        json!({
            "optimizer": {"module": "keras.optimizers", "class_name": "SGD", "config": {
                "name": "sgd", "learning_rate": 0.009999999776482582, "weight_decay": null,
                "clipnorm": 1.0, "global_clipnorm": null, "clipvalue": null, "use_ema": false,
                "ema_momentum": 0.99, "ema_overwrite_frequency": null, "loss_scale_factor": null,
                "gradient_accumulation_steps": null, "momentum": 0.9, "nesterov": true,
            }, "registered_name": null},
            "loss": {"module": "keras.losses", "class_name": "SparseCategoricalCrossentropy",
                "config": {"name": "sparse_categorical_crossentropy",
                    "reduction": "sum_over_batch_size", "from_logits": true, "ignore_class": null},
                "registered_name": null},
            "loss_weights": 0.5, "metrics": null, "weighted_metrics": null, "run_eagerly": false,
            "steps_per_execution": 4, "jit_compile": true,
        })
    }

    #[test]
    fn keras_configs_return_as_they_came() {
        let compile = Compile::from_json(&keras()).unwrap();
        let json = compile.to_json().unwrap();
        // Keys in other places are the same document.
        assert_eq!(json["optimizer"], keras()["optimizer"]);
        assert_eq!(json, keras());
        assert_eq!(Compile::from_json(&json).unwrap().to_json().unwrap(), json);
    }

    #[test]
    fn one_output_in_every_form() {
        for json in [
            json!({"optimizer": "sgd", "loss": "mse", "loss_weights": 2}),
            json!({"optimizer": "SGD", "loss": ["mse"], "loss_weights": [2.0], "metrics": []}),
            json!({"optimizer": {"class_name": "SGD"}, "loss": {"y": "mse"}, "loss_weights": {"y": 2}}),
            json!({"optimizer": "sgd", "loss_weights": 2, "loss": {"module": "builtins",
                "class_name": "function", "config": "mean_squared_error",
                "registered_name": "function"}}),
        ] {
            let compile = Compile::from_json(&json).unwrap();
            let names = (compile.optimizer.class_name(), compile.loss.class_name());
            assert_eq!(names, ("SGD", "MeanSquaredError"), "{json}");
            assert_eq!(compile.loss_weights, Some(2.0));
        }
        let metric = "sparse_categorical_accuracy";
        for metrics in [json!([metric]), json!([[metric]]), json!({"y": [metric]}), json!(metric)] {
            let json = json!({"optimizer": "sgd", "loss": "mse", "metrics": metrics, "weighted_metrics": metrics});
            let compile = Compile::from_json(&json).unwrap();
            assert_eq!((compile.metrics.len(), compile.weighted_metrics.len()), (1, 1), "{json}");
        }
    }

    #[test]
    fn errors_say_where() {
        let cases = [
            (
                json!({"optimiser": "sgd", "loss": "mse"}),
                "at `optimiser`: unknown key `optimiser`. Did you mean `optimizer`?",
            ),
            (
                json!({"optimizer": "sdg", "loss": "mse"}),
                "at `optimizer`: unknown optimizer `sdg`. Did you mean `sgd`?",
            ),
            (
                json!({"optimizer": {"class_name": "Adam", "config": {"beta1": 0.9}}, "loss": "mse"}),
                "at `optimizer.config.beta1`: unknown key `beta1`. Did you mean `beta_1`?",
            ),
            (json!({"optimizer": "sgd", "loss": "mean_squared_eror"}), "at `loss`: unknown loss"),
            (
                json!({"optimizer": "sgd", "loss": {"y": "mean_squared_eror"}}),
                "at `loss.y`: unknown loss",
            ),
            (
                json!({"optimizer": "sgd", "loss": ["mse", "mse"]}),
                "at `loss`: one loss for the one output is needed, found 2",
            ),
            (json!({"optimizer": "sgd"}), "at `loss`: a loss is needed"),
            (
                json!({"optimizer": "sgd", "loss": "mse", "metrics": ["nothing"]}),
                "at `metrics[0]`: unknown metric",
            ),
            (
                json!({"optimizer": "sgd", "loss": "mse", "metrics": [["nothing"]]}),
                "at `metrics[0][0]`: unknown metric",
            ),
            (
                json!({"optimizer": "sgd", "loss": "mse", "metrics": {"y": "nothing"}}),
                "at `metrics.y`: unknown metric",
            ),
            (
                json!({"optimizer": "sgd", "loss": "mse", "metrics": 3}),
                "at `metrics`: must be a list",
            ),
            (
                json!({"optimizer": "sgd", "loss": "mse", "loss_weights": "a"}),
                "at `loss_weights`: must be a number",
            ),
            (
                json!({"optimizer": "sgd", "loss": "mse", "jit_compile": "yes"}),
                "at `jit_compile`: must be true",
            ),
            (
                json!({"optimizer": "sgd", "loss": "mse", "steps_per_execution": 0}),
                "at `steps_per_execution`: must be",
            ),
        ];
        for (json, expected) in cases {
            let message = Compile::from_json(&json).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}\n{expected}");
        }
    }
}
