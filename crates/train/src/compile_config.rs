//! `compile` as JSON: Keras's `compile_config`, and the `compile` part of run configurations.

use crate::compile::{Compile, Metrics};
use crate::head::Head;
use crate::losses::LossFn;
use crate::metrics::MetricFn;
use crate::optimizers::Optimizer;
use crate::per_output::PerOutput;
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
    /// `{"class_name": ..., "config": {...}}`; keys left out take Keras's defaults. Losses, their weights
    /// and metrics may be given for each output, in a list or by name.
    ///
    /// # Errors
    /// With the JSON path of what is unknown or wrong, and the nearest known name.
    pub fn from_json(value: &Json) -> Result<Self> {
        let config: Config = json::parse(value.clone())?;
        if config.loss.is_null() {
            return Err(Error::config("loss", "a loss is needed to train, such as \"mse\""));
        }
        let optimizer = Optimizer::from_json(&config.optimizer);
        let loss = per_output(&config.loss, "loss", &is_part, &LossFn::from_json)?;
        let mut compile = Self::new(optimizer.map_err(|e| e.under("optimizer"))?, loss);
        if !config.loss_weights.is_null() {
            let weights =
                per_output(&config.loss_weights, "loss_weights", &Json::is_number, &factor)?;
            compile.loss_weights = Some(weights);
        }
        compile.metrics = metrics(&config.metrics, "metrics")?;
        compile.weighted_metrics = metrics(&config.weighted_metrics, "weighted_metrics")?;
        compile.execution = execution(&config)?;
        Ok(compile)
    }

    /// The same with what the heads of a built model resolved, in the form it was given.
    pub(crate) fn resolved(&self, heads: &[Head]) -> Self {
        let mut compile = self.clone();
        compile.loss = in_form_of(&self.loss, heads, |head| head.loss().cloned());
        compile.metrics = metrics_in_form_of(&self.metrics, heads, |head| head.metrics());
        compile.weighted_metrics = metrics_in_form_of(&self.weighted_metrics, heads, |head| {
            head.configured_weighted_metrics()
        });
        compile
    }

    /// Keras's `compile_config`.
    ///
    /// # Errors
    /// If a part is the user's own code, which no file can hold.
    pub fn to_json(&self) -> Result<Json> {
        let loss = |loss: &LossFn| loss.to_json();
        let weights = match &self.loss_weights {
            Some(weights) => write_per_output("loss_weights", weights, &|w: &f64| Ok((*w).into()))?,
            None => Json::Null,
        };
        Ok(serde_json::json!({
            "optimizer": self.optimizer.to_json().map_err(|e| e.under("optimizer"))?,
            "loss": write_per_output("loss", &self.loss, &loss)?,
            "loss_weights": weights,
            "metrics": write_metrics("metrics", &self.metrics)?,
            "weighted_metrics": write_metrics("weighted_metrics", &self.weighted_metrics)?,
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

/// One value, a list, or an object by output name. `is_one` tells the first from the others.
fn per_output<T>(
    value: &Json,
    key: &str,
    is_one: &dyn Fn(&Json) -> bool,
    read: &dyn Fn(&Json) -> Result<T>,
) -> Result<PerOutput<T>> {
    let entry = |value: &Json, at: String| match value {
        Json::Null => Ok(None),
        value => read(value).map(Some).map_err(|e| e.under(&at)),
    };
    match value {
        value if is_one(value) => read(value).map(PerOutput::One).map_err(|e| e.under(key)),
        Json::Array(list) => Ok(PerOutput::List(
            list.iter()
                .enumerate()
                .map(|(i, value)| entry(value, format!("{key}[{i}]")))
                .collect::<Result<_>>()?,
        )),
        Json::Object(map) => Ok(PerOutput::Named(
            map.iter()
                .map(|(name, value)| Ok((name.clone(), entry(value, format!("{key}.{name}"))?)))
                .collect::<Result<_>>()?,
        )),
        value => read(value).map(PerOutput::One).map_err(|e| e.under(key)),
    }
}

fn factor(value: &Json) -> Result<f64> {
    let wrong = || Error::config("", format!("must be a number, found {value}"));
    value.as_f64().ok_or_else(wrong)
}

/// A plain list of metrics, or lists of metrics by output.
fn metrics(value: &Json, key: &str) -> Result<Metrics> {
    let list = |value: &Json| -> Result<Vec<MetricFn>> {
        match value {
            Json::Array(list) => {
                let metric = |(i, metric): (usize, &Json)| {
                    MetricFn::from_json(metric).map_err(|e| e.under(&format!("[{i}]")))
                };
                list.iter().enumerate().map(metric).collect()
            }
            one if is_part(one) => Ok(vec![MetricFn::from_json(one)?]),
            other => Err(Error::config("", format!("must be a list of metrics, found {other}"))),
        }
    };
    match value {
        Json::Null => Ok(Metrics::default()),
        Json::Array(items) if items.iter().all(is_part) => {
            list(value).map(Metrics::Flat).map_err(|e| e.under(key))
        }
        value if is_part(value) => list(value).map(Metrics::Flat).map_err(|e| e.under(key)),
        value => per_output(value, key, &|_| false, &list).map(Metrics::PerOutput),
    }
}

fn write_per_output<T>(
    key: &str,
    value: &PerOutput<T>,
    write: &dyn Fn(&T) -> Result<Json>,
) -> Result<Json> {
    let entry = |value: &Option<T>, at: String| match value {
        None => Ok(Json::Null),
        Some(value) => write(value).map_err(|e| e.under(&at)),
    };
    Ok(match value {
        PerOutput::One(value) => write(value).map_err(|e| e.under(key))?,
        PerOutput::List(list) => list
            .iter()
            .enumerate()
            .map(|(i, value)| entry(value, format!("{key}[{i}]")))
            .collect::<Result<Vec<_>>>()?
            .into(),
        PerOutput::Named(named) => Json::Object(
            named
                .iter()
                .map(|(name, value)| Ok((name.clone(), entry(value, format!("{key}.{name}"))?)))
                .collect::<Result<_>>()?,
        ),
    })
}

fn write_metrics(key: &str, metrics: &Metrics) -> Result<Json> {
    let list = |metrics: &Vec<MetricFn>| -> Result<Json> {
        let json = |(i, metric): (usize, &MetricFn)| {
            metric.to_json().map_err(|e| e.under(&format!("[{i}]")))
        };
        Ok(Json::Array(metrics.iter().enumerate().map(json).collect::<Result<_>>()?))
    };
    match metrics {
        Metrics::Flat(metrics) if metrics.is_empty() => Ok(Json::Null),
        Metrics::Flat(metrics) => list(metrics).map_err(|e| e.under(key)),
        Metrics::PerOutput(outputs) => write_per_output(key, outputs, &list),
    }
}

/// The values of the heads in the form that was given, or a list where one value became several.
fn in_form_of<T: Clone>(
    given: &PerOutput<T>,
    heads: &[Head],
    of: impl Fn(&Head) -> Option<T>,
) -> PerOutput<T> {
    match (given, heads) {
        (PerOutput::One(given), [head]) => {
            PerOutput::One(of(head).unwrap_or_else(|| given.clone()))
        }
        (PerOutput::Named(given), [head]) => {
            PerOutput::Named(given.iter().map(|(name, _)| (name.clone(), of(head))).collect())
        }
        (PerOutput::Named(given), heads) => PerOutput::Named(
            given
                .iter()
                .map(|(name, value)| {
                    let head = heads.iter().find(|head| head.name() == name);
                    (name.clone(), head.map_or_else(|| value.clone(), &of))
                })
                .collect(),
        ),
        (PerOutput::One(_) | PerOutput::List(_), heads) => {
            PerOutput::List(heads.iter().map(of).collect())
        }
    }
}

fn metrics_in_form_of(
    given: &Metrics,
    heads: &[Head],
    of: impl Fn(&Head) -> &[MetricFn],
) -> Metrics {
    match (given, heads) {
        (Metrics::Flat(_), [head]) => Metrics::Flat(of(head).to_vec()),
        (Metrics::Flat(metrics), _) if metrics.is_empty() => Metrics::default(),
        (Metrics::Flat(_), heads) => {
            Metrics::Flat(heads.iter().flat_map(|head| of(head).to_vec()).collect())
        }
        (Metrics::PerOutput(outputs), heads) => {
            Metrics::PerOutput(in_form_of(outputs, heads, |head| Some(of(head).to_vec())))
        }
    }
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
            let outputs = ["y".to_string()];
            let loss = compile.loss.resolve("loss", &outputs, false).unwrap().remove(0).unwrap();
            let names = (compile.optimizer.class_name(), loss.class_name());
            assert_eq!(names, ("SGD", "MeanSquaredError"), "{json}");
            let weights = compile.loss_weights.unwrap();
            assert_eq!(weights.resolve("loss_weights", &outputs, false).unwrap(), [Some(2.0)]);
        }
        let metric = "sparse_categorical_accuracy";
        for metrics in [json!([metric]), json!([[metric]]), json!({"y": [metric]}), json!(metric)] {
            let json = json!({"optimizer": "sgd", "loss": "mse", "metrics": metrics, "weighted_metrics": metrics});
            let compile = Compile::from_json(&json).unwrap();
            let count =
                |m: &Metrics| m.resolve("metrics", &["y".to_string()]).unwrap().remove(0).len();
            let counts = (count(&compile.metrics), count(&compile.weighted_metrics));
            assert_eq!(counts, (1, 1), "{json}");
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
