//! Every row of the tables of small objects with Keras itself: it reads what we write, we read what it
//! writes, and there is no name of Keras's that we do not know.

use crate::{loss_cases, optimizer_cases};
use sconce::core::{Kind, Part};
use sconce::layers::constraints::Constraints;
use sconce::layers::initializers::Initializers;
use sconce::layers::regularizers::Regularizers;
use sconce::ops::activations::Activations;
use sconce::train::losses::Losses;
use sconce::train::metrics::Metrics;
use sconce::train::optimizers::Optimizers;
use sconce::train::schedules::Schedules;
use sconce_testkit::{golden, python};
use serde_json::{Map, Value as Json, json};
use std::process::Command;

/// Base classes, the parts of others, and metrics that take values, not targets and predictions; with
/// Keras's aliases of them.
const NO_OBJECTS: [&str; 19] = [
    "Constraint",
    "Initializer",
    "LearningRateSchedule",
    "Loss",
    "LossFunctionWrapper",
    "Mean",
    "MeanMetricWrapper",
    "Metric",
    "Optimizer",
    "OptimizerMap",
    "Regularizer",
    "Sum",
    "constraint",
    "initializer",
    "mean",
    "mean_metric_wrapper",
    "metric",
    "regularizer",
    "sum",
];

/// The names that only functions have: compile takes them as functions, not as names.
const FUNCTIONS: [&str; 4] =
    ["binary_focal_crossentropy", "categorical_focal_crossentropy", "huber", "log_cosh"];

/// The configurations of every row: those of its cases, and its defaults.
fn configs<K: Kind>(cases: &[(&'static str, Json)]) -> Vec<(&'static str, Json)> {
    let mut configs = Vec::new();
    for entry in K::entries() {
        let own = cases.iter().filter(|case| case.0 == entry.class_name);
        let defaults = entry.defaults().map(|_| json!({}));
        let of_entry: Vec<Json> = own.map(|case| case.1.clone()).chain(defaults).collect();
        let function = entry.class_name == "threshold";
        assert!(function || !of_entry.is_empty(), "{} has no case", entry.class_name);
        configs.extend(of_entry.into_iter().map(|config| (entry.class_name, config)));
    }
    // The arguments of a function are not in Keras's files.
    configs.retain(|(class_name, _)| *class_name != "threshold");
    // Chosen by `fit` from the shapes, by its name alone.
    configs.retain(|(class_name, _)| *class_name != "crossentropy");
    configs
}

/// Compares the names that Keras knows, and the objects as it writes them, with ours.
type Check = Box<dyn Fn(&Json, &[Json])>;

/// The rows of one kind, as we write them.
struct Rows {
    written: Vec<Json>,
    check: Check,
}

fn rows<K: Kind>(cases: &[(&'static str, Json)]) -> Rows {
    let configs = configs::<K>(cases);
    let part = |(name, config): &(&str, Json)| Part::<K>::new(name, config.clone()).unwrap();
    let written = configs.iter().map(|case| part(case).to_json().unwrap()).collect::<Vec<_>>();
    let ours = written.clone();
    let check = move |names: &Json, keras: &[Json]| {
        assert_eq!(keras.len(), ours.len(), "{}", K::NAME);
        for (ours, keras) in ours.iter().zip(keras) {
            let read = Part::<K>::from_json(keras).unwrap_or_else(|e| panic!("{keras}: {e}"));
            let again = read.to_json().unwrap();
            same_config(ours, keras);
            same_config(&again, keras);
        }
        for name in names.as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
            let function = K::NAME == "metric" && FUNCTIONS.contains(&name);
            let known = K::find(name).is_some() || NO_OBJECTS.contains(&name) || function;
            assert!(known || ["optimizer", "optimizermap"].contains(&name), "{}: {name}", K::NAME);
        }
    };
    Rows { written, check: Box::new(check) }
}

/// Every argument that both write is the same; numbers but for their rounding to f32. Keras writes some
/// lists as tensors.
fn same_config(ours: &Json, keras: &Json) {
    match (ours, keras) {
        (Json::Array(_), Json::Object(b)) if b.get("class_name") == Some(&json!("__tensor__")) => {
            same_config(ours, &b["config"]["value"]);
        }
        (Json::Object(a), Json::Object(b)) => {
            for (key, value) in a {
                // A MultiOptimizer of Keras's gives its optimizers its own.
                let filled = key == "loss_scale_factor" && value.is_null();
                match b.get(key) {
                    Some(other) if key != "registered_name" && !filled => same_config(value, other),
                    _ => {}
                }
            }
        }
        (Json::Array(a), Json::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{ours} and {keras}");
            a.iter().zip(b).for_each(|(a, b)| same_config(a, b));
        }
        (Json::Number(a), Json::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-6 * a.abs(), "{ours} and {keras}");
        }
        _ => assert_eq!(ours, keras),
    }
}

#[test]
fn keras_reads_every_small_object_and_we_read_keras_s() {
    let Some(python) = python() else { return };
    let losses: Vec<_> =
        loss_cases::loss_cases().into_iter().map(|(c, _)| (c.class_name, c.config)).collect();
    let metrics: Vec<_> =
        loss_cases::metric_cases().into_iter().map(|c| (c.class_name, c.config)).collect();
    let optimizers: Vec<_> =
        optimizer_cases::optimizers().into_iter().map(|c| (c.class_name, c.config)).collect();
    let kinds = [
        (Activations::NAME, rows::<Activations>(&[])),
        (Constraints::NAME, rows::<Constraints>(&[])),
        (Initializers::NAME, rows::<Initializers>(&[])),
        (Losses::NAME, rows::<Losses>(&losses)),
        (Metrics::NAME, rows::<Metrics>(&metrics)),
        (Optimizers::NAME, rows::<Optimizers>(&optimizers)),
        (Regularizers::NAME, rows::<Regularizers>(&[])),
        (Schedules::NAME, rows::<Schedules>(&optimizer_cases::schedules())),
    ];
    let documents: Map<String, Json> =
        kinds.iter().map(|(name, rows)| (name.to_string(), rows.written.clone().into())).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects.json");
    std::fs::write(&path, Json::Object(documents).to_string()).unwrap();
    let output = Command::new(python)
        .arg(golden::path("check_objects_with_keras.py"))
        .arg(&path)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    for (name, rows) in kinds {
        (rows.check)(&answer["names"][name], answer["written"][name].as_array().unwrap());
    }
}
