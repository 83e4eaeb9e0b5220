//! `compile` as JSON: Keras's `compile_config`, and the `compile` part of run configurations.

use crate::compile::{Compile, Metrics};
use crate::head::Head;
use crate::losses::{LossFn, Losses};
use crate::metrics::{MetricFn, Metrics as MetricKind};
use crate::per_output::PerOutput;
use sconce_core::schema::{self, Definitions};
use sconce_core::value::mismatch;
use sconce_core::{ConfigValue, Json, Result};
use serde_json::json;

impl Compile {
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
}

/// The key `loss`.
pub(crate) mod loss {
    use super::*;

    pub(crate) fn from_json(value: &Json) -> Result<PerOutput<LossFn>> {
        per_output(value, &is_part, &LossFn::from_json)
    }

    pub(crate) fn to_json(value: &PerOutput<LossFn>) -> Result<Json> {
        write_per_output(value, &LossFn::to_json)
    }

    pub(crate) fn schema(definitions: &mut Definitions) -> Json {
        for_outputs(&definitions.part::<Losses>())
    }
}

/// The key `loss_weights`.
pub(crate) mod loss_weights {
    use super::*;

    pub(crate) fn from_json(value: &Json) -> Result<Option<PerOutput<f64>>> {
        if value.is_null() {
            return Ok(None);
        }
        per_output(value, &Json::is_number, &f64::from_json).map(Some)
    }

    pub(crate) fn to_json(value: &Option<PerOutput<f64>>) -> Result<Json> {
        value.as_ref().map_or(Ok(Json::Null), |value| write_per_output(value, &f64::to_json))
    }

    pub(crate) fn schema(_: &mut Definitions) -> Json {
        schema::or_null(for_outputs(&json!({"type": "number"})))
    }
}

/// The keys `metrics` and `weighted_metrics`: a plain list, or lists by output.
pub(crate) mod metrics {
    use super::*;

    pub(crate) fn from_json(value: &Json) -> Result<Metrics> {
        match value {
            Json::Null => Ok(Metrics::default()),
            Json::Array(items) if items.iter().all(is_part) => list(value).map(Metrics::Flat),
            value if is_part(value) => list(value).map(Metrics::Flat),
            value => per_output(value, &|_| false, &list).map(Metrics::PerOutput),
        }
    }

    fn list(value: &Json) -> Result<Vec<MetricFn>> {
        match value {
            Json::Array(_) => Vec::from_json(value),
            one if is_part(one) => Ok(vec![MetricFn::from_json(one)?]),
            other => Err(mismatch("a list of metrics", other)),
        }
    }

    pub(crate) fn to_json(value: &Metrics) -> Result<Json> {
        match value {
            Metrics::Flat(metrics) if metrics.is_empty() => Ok(Json::Null),
            Metrics::Flat(metrics) => metrics.to_json(),
            Metrics::PerOutput(outputs) => write_per_output(outputs, &Vec::to_json),
        }
    }

    pub(crate) fn schema(definitions: &mut Definitions) -> Json {
        definitions.named("Metrics", |definitions| {
            let one = definitions.part::<MetricKind>();
            let list = json!({"anyOf": [one, {"type": "array", "items": one}]});
            schema::or_null(json!({"anyOf": [list, for_outputs(&list)]}))
        })
    }
}

/// The key `jit_compile`: `null` is `"auto"`.
pub(crate) mod jit_compile {
    use super::*;

    pub(crate) fn from_json(value: &Json) -> Result<Option<bool>> {
        match value {
            Json::Bool(always) => Ok(Some(*always)),
            Json::String(word) if word == "auto" => Ok(None),
            other => Err(mismatch("true, false or \"auto\"", other)),
        }
    }

    pub(crate) fn to_json(value: &Option<bool>) -> Result<Json> {
        Ok(value.map_or("auto".into(), Json::Bool))
    }

    pub(crate) fn schema(_: &mut Definitions) -> Json {
        json!({"enum": ["auto", true, false]})
    }
}

/// The schema of one value, a list of one for each output, or an object by output name.
fn for_outputs(one: &Json) -> Json {
    let entry = schema::or_null(one.clone());
    json!({"anyOf": [
        one,
        {"type": "array", "items": entry},
        {
            "type": "object",
            "not": {"required": ["class_name"]},
            "additionalProperties": entry,
        },
    ]})
}

/// One value, a list, or an object by output name. `is_one` tells the first from the others.
fn per_output<T>(
    value: &Json,
    is_one: &dyn Fn(&Json) -> bool,
    read: &dyn Fn(&Json) -> Result<T>,
) -> Result<PerOutput<T>> {
    let entry = |value: &Json, at: &str| match value {
        Json::Null => Ok(None),
        value => read(value).map(Some).map_err(|e| e.under(at)),
    };
    match value {
        Json::Array(list) => Ok(PerOutput::List(
            list.iter()
                .enumerate()
                .map(|(i, value)| entry(value, &format!("[{i}]")))
                .collect::<Result<_>>()?,
        )),
        Json::Object(map) if !is_one(value) => Ok(PerOutput::Named(
            map.iter()
                .map(|(name, value)| Ok((name.clone(), entry(value, name)?)))
                .collect::<Result<_>>()?,
        )),
        value => read(value).map(PerOutput::One),
    }
}

fn write_per_output<T>(value: &PerOutput<T>, write: &dyn Fn(&T) -> Result<Json>) -> Result<Json> {
    let entry = |value: &Option<T>, at: &str| match value {
        None => Ok(Json::Null),
        Some(value) => write(value).map_err(|e| e.under(at)),
    };
    Ok(match value {
        PerOutput::One(value) => write(value)?,
        PerOutput::List(list) => list
            .iter()
            .enumerate()
            .map(|(i, value)| entry(value, &format!("[{i}]")))
            .collect::<Result<Vec<_>>>()?
            .into(),
        PerOutput::Named(named) => Json::Object(
            named
                .iter()
                .map(|(name, value)| Ok((name.clone(), entry(value, name)?)))
                .collect::<Result<_>>()?,
        ),
    })
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
            (json!({"optimizer": "sgd"}), "the required key `loss` is missing"),
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
                "at `metrics`: must be a list of metrics, found 3",
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
                "at `steps_per_execution`: must be a whole number of at least 1, found 0",
            ),
        ];
        for (json, expected) in cases {
            let message = Compile::from_json(&json).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}\n{expected}");
        }
    }
}
