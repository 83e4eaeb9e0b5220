//! Losses as metrics, as Keras takes them in `metrics`: loss objects, loss functions, and functions with
//! arguments in a `MeanMetricWrapper`.

use super::{Goal, Metric, MetricFn, MetricState, Metrics, SampleValues, averaged};
use crate::losses::{LossFn, Losses, Outputs, PerSample, Reduction, reduce};
use sconce_core::custom_objects::is_registered_as;
use sconce_core::json::{Map, OBJECT_KEYS, only_keys};
use sconce_core::schema::{self, Definitions};
use sconce_core::value::mismatch;
use sconce_core::{ConfigValue, DTypePolicy, Dims, Error, Json, Kind, Result, Tensor};
use serde_json::json;
use std::sync::Arc;

/// A loss as a metric. One that is given by its name counts for each sample, as Keras's function of that
/// name; a configured one is reduced for each batch, and the metric is the mean over batches, as of
/// Keras's loss object (`metrics=[keras.losses.Huber()]`).
///
/// ```
/// use sconce_losses::losses::Huber;
/// use sconce_losses::metrics::{MetricFn, loss_metric};
///
/// let metrics: [MetricFn; 2] = [loss_metric("huber"), loss_metric(Huber::new().delta(0.5))];
/// ```
pub fn loss_metric(loss: impl Into<LossFn>) -> MetricFn {
    let loss = loss.into();
    let name = match loss.get() {
        Ok(object) => object.name(),
        Err(error) => return MetricFn::invalid(loss.class_name(), error),
    };
    // A function of the user's own has no configuration.
    let (name, reduced, json) = match (loss.given_name(), loss.config()) {
        (Some(_), _) => (loss.name().to_string(), false, Ok(function(loss.name()))),
        (None, None) => (name, false, loss.to_json()),
        (None, Some(config)) => {
            let given = config["name"].as_str().map(str::to_string);
            (given.unwrap_or(name), true, loss.to_json())
        }
    };
    part(LossMetric { loss, reduced, name, arguments: None }, json)
}

/// A loss and how it is a metric.
#[derive(Clone)]
struct LossMetric {
    loss: LossFn,
    /// Whether it has one value a batch.
    reduced: bool,
    /// Its name in logs.
    name: String,
    /// What the `MeanMetricWrapper` around a function gives it, if there is one.
    arguments: Option<Map>,
}

fn part(metric: LossMetric, json: Result<Json>) -> MetricFn {
    let (name, object) = (metric.name.clone(), Arc::new(metric));
    match json {
        Ok(json) => MetricFn::other(name, json, object),
        Err(_) => MetricFn::custom(name, object),
    }
}

impl Metric for LossMetric {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn goal(&self) -> Option<Goal> {
        Some(Goal::Min)
    }

    fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
        self.loss.get()?.check_shape(name, y_true, y_pred)
    }

    fn resolve(&self, name: &str, outputs: &Outputs<'_>) -> Option<MetricFn> {
        let loss = self.loss.get().ok()?.resolve(outputs).ok()??;
        let metric = Self { loss, name: name.to_string(), ..self.clone() };
        if self.reduced {
            let json = metric.loss.to_json();
            return Some(part(metric, json));
        }
        let mut arguments = self.arguments.clone().unwrap_or_default();
        arguments.insert("from_logits".into(), outputs.logits.into());
        Some(wrapped(metric, arguments))
    }

    fn new_state(&self) -> Box<dyn MetricState> {
        averaged(self.clone())
    }
}

impl SampleValues for LossMetric {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let loss = self.loss.get()?;
        let values = loss.per_sample(y_true, y_pred)?;
        Ok(match (self.reduced, loss.reduction()) {
            (false, _) => values,
            (true, Reduction::None) => reduce::weigh(values, None)?.into(),
            (true, reduction) => reduce::reduce(values, None, reduction)?.into(),
        })
    }
}

/// A loss function with arguments, written as Keras's `MeanMetricWrapper`.
fn wrapped(metric: LossMetric, arguments: Map) -> MetricFn {
    let json = wrapper(&metric.name, &function(metric.loss.name()), &arguments);
    part(LossMetric { arguments: Some(arguments), ..metric }, Ok(json))
}

fn function(name: &str) -> Json {
    json!({
        "module": "builtins", "class_name": "function", "config": name, "registered_name": "function",
    })
}

fn wrapper(name: &str, of: &Json, arguments: &Map) -> Json {
    let mut config = json!({"name": name, "dtype": "float32", "fn": of});
    for (key, value) in arguments {
        config[key] = value.clone();
    }
    json!({
        "module": "keras.metrics", "class_name": "MeanMetricWrapper", "config": config,
        "registered_name": null,
    })
}

/// Reads a loss among metrics; `None` for everything else.
pub(super) fn read(object: &Map) -> Option<Result<MetricFn>> {
    let text = |key: &str| object.get(key).and_then(Json::as_str);
    let class_name = text("class_name")?;
    let (module, registered) = (text("module"), text("registered_name").unwrap_or_default());
    match (class_name, object.get("config")) {
        ("function", Some(Json::String(name))) => {
            let own = is_registered_as::<Losses>(name) && !is_registered_as::<Metrics>(name);
            (own || is_function(name)).then(|| Ok(loss_metric(name.as_str())))
        }
        ("MeanMetricWrapper", Some(Json::Object(config))) => Some(read_wrapper(config)),
        _ if module.is_some_and(is_losses)
            || is_registered_as::<Losses>(registered)
                && !is_registered_as::<Metrics>(registered) =>
        {
            Some(LossFn::from_json(&Json::Object(object.clone())).map(loss_metric))
        }
        _ => None,
    }
}

/// Modules of Keras's losses.
const MODULES: [&str; 2] = ["keras.losses", "keras.src.losses.losses"];

fn is_losses(module: &str) -> bool {
    MODULES.contains(&module)
}

/// The names of Keras's loss functions.
fn functions() -> impl Iterator<Item = &'static str> {
    let decided = Losses::entries().iter().filter(|entry| entry.class_name != "crossentropy");
    decided.filter_map(|entry| entry.aliases.first().copied())
}

fn is_function(name: &str) -> bool {
    functions().any(|function| function == name)
}

/// Keras's metric functions that are no losses.
const METRIC_FUNCTIONS: [&str; 7] = [
    "binary_accuracy",
    "categorical_accuracy",
    "concordance_correlation",
    "pearson_correlation",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
];

/// A `MeanMetricWrapper`: `fn`, `name`, `dtype` and the arguments of the function.
fn read_wrapper(config: &Map) -> Result<MetricFn> {
    let mut arguments = config.clone();
    let of = arguments.shift_remove("fn").ok_or_else(|| {
        Error::config("config", "the required key `fn` is missing: the function whose mean it is")
    })?;
    if let Json::Object(of) = &of {
        only_keys(of, &OBJECT_KEYS).map_err(|error| error.under("config.fn"))?;
    }
    if let Some(dtype) = arguments.shift_remove("dtype") {
        DTypePolicy::from_json(&dtype).map_err(|error| error.under("config.dtype"))?;
    }
    let name = match arguments.shift_remove("name") {
        None | Some(Json::Null) => "mean_metric_wrapper".to_string(),
        Some(name) => String::from_json(&name).map_err(|error| error.under("config.name"))?,
    };
    match (of["class_name"].as_str(), of["config"].as_str()) {
        (Some("function"), Some(function)) if is_function(function) => {
            let loss = LossFn::new(function, Json::Object(arguments.clone()))?;
            Ok(wrapped(LossMetric { loss, reduced: false, name, arguments: None }, arguments))
        }
        (Some("function"), Some(function)) if METRIC_FUNCTIONS.contains(&function) => {
            arguments.insert("name".into(), name.into());
            MetricFn::new(function, Json::Object(arguments))
        }
        (Some(class_name), _) => {
            if let Some(key) = arguments.keys().next() {
                let message = "is no argument of a function of Keras's; own functions take none";
                return Err(Error::config(format!("config.{key}"), message));
            }
            let loss = LossFn::from_json(&of).map_err(|error| error.under("config.fn"))?;
            let reduced = class_name != "function";
            let json = wrapper(&name, &of, &arguments);
            Ok(part(LossMetric { loss, reduced, name, arguments: None }, Ok(json)))
        }
        _ => Err(mismatch("an object with `class_name`", &of).under("config.fn")),
    }
}

/// The schemas of what [`read`] takes.
pub(super) fn schemas(definitions: &mut Definitions) -> Vec<Json> {
    let loss = definitions.part::<Losses>();
    let object = json!({"allOf": [loss, {"type": "object"}]});
    let among_losses = json!({"allOf": [loss, {
        "type": "object",
        "required": ["module"],
        "properties": {"module": {"enum": MODULES}},
    }]});
    let functions: Vec<&str> = functions().collect();
    let mut wrappers = vec![wrapper_schema(object, Map::new())];
    let losses = schema::configs::<Losses>(definitions);
    let metrics = schema::configs::<Metrics>(definitions);
    for (names, config) in losses.iter().chain(&metrics) {
        let name = names.get(1).map(String::as_str).unwrap_or_default();
        if functions.contains(&name) || METRIC_FUNCTIONS.contains(&name) {
            let arguments = config["properties"].as_object().cloned().unwrap_or_default();
            wrappers.push(wrapper_schema(function_schema(&[name]), arguments));
        }
    }
    vec![
        among_losses,
        function_schema(&functions),
        schema::object(
            json!({"const": "MeanMetricWrapper"}),
            json!({"type": "object", "required": ["fn"], "anyOf": wrappers}),
        ),
    ]
}

fn function_schema(names: &[&str]) -> Json {
    let mut keys: Map = OBJECT_KEYS.iter().map(|key| (key.to_string(), json!({}))).collect();
    keys.insert("class_name".into(), json!({"const": "function"}));
    keys.insert("config".into(), json!({"enum": names}));
    json!({
        "type": "object",
        "required": ["class_name", "config"],
        "additionalProperties": false,
        "properties": keys,
    })
}

fn wrapper_schema(of: Json, mut keys: Map) -> Json {
    keys.insert("fn".into(), of);
    keys.insert("name".into(), json!({"type": ["string", "null"]}));
    keys.insert("dtype".into(), schema::dtype());
    json!({"additionalProperties": false, "properties": keys})
}
