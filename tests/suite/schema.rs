//! `sconce schema` and the program agree: what one accepts, the other does.

use crate::{callback_cases, layer_cases, loss_cases, optimizer_cases};
use jsonschema::Validator;
use sconce::prelude::*;
use sconce::train::RunConfig;
use serde_json::{Value as Json, json};

/// A run that says more than it must.
fn config() -> Json {
    json!({
        "$schema": "run.schema.json",
        "model": {"class_name": "Sequential", "config": {
            "name": "own", "trainable": true,
            "layers": [{"class_name": "Dense", "config": {"units": 3, "name": "end"}}],
        }},
        "compile": {
            "optimizer": "adam", "loss": "mse", "loss_weights": 0.5, "metrics": ["accuracy"], "weighted_metrics": null,
            "run_eagerly": false, "steps_per_execution": 2, "jit_compile": "auto",
        },
        "data": {
            "train": {"dataset": "digits", "split": "train", "standardize": true},
            "validation": {"csv": "a.csv", "target": "y", "classes": ["a", "b"], "standardize": "b.csv"},
        },
        "fit": {
            "epochs": 3, "batch_size": 8, "shuffle": "batch", "seed": 1, "validation_split": 0.5,
            "validation_freq": 2, "validation_batch_size": 4, "class_weight": {"0": 1.0},
            "initial_epoch": 1, "steps_per_epoch": 5, "verbose": 2,
        },
        "callbacks": [],
        "output": {"model": "m.keras", "history": "h.json"},
    })
}

fn with(pointer: &str, value: Json) -> Json {
    let mut config = config();
    *config.pointer_mut(pointer).unwrap() = value;
    config
}

/// Runs that are accepted, each with the place whose values are varied: those of `configs`, and one for
/// every case of every table.
fn accepted() -> Vec<(Json, &'static str)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path| std::fs::read_to_string(path).unwrap();
    let mut out: Vec<(Json, &str)> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| (serde_json::from_str(&text(path)).unwrap(), "/model"))
        // A model alone is no run.
        .filter(|(document, _): &(Json, _)| document.get("model").is_some())
        .collect();
    assert!(out.len() >= 4);
    out.push((config(), ""));
    let mut run = |place: &'static str, value: Json| out.push((with(place, value), place));
    run("/model", json!("m.keras"));
    for data in [
        json!({"dataset": "blobs", "rows": 9, "features": 2, "classes": 3, "seed": 4, "split": "all"}),
        json!({"x": "x.npy", "y": ["a.npy", "b.npy"], "sample_weight": {"a": "w.npy"}}),
    ] {
        run("/data/train", data);
    }
    for metrics in
        [json!("mae"), json!([["mae"], null]), json!({"a": "mae", "b": ["mse", "acc"], "c": null})]
    {
        run("/compile/metrics", metrics);
    }
    run("/compile/loss", json!({"a": "mse", "b": {"class_name": "Huber"}}));
    run("/compile/loss_weights", json!([1, null]));
    let part =
        |class_name: &str, config: &Json| json!({"class_name": class_name, "config": config});
    for (case, _) in loss_cases::loss_cases() {
        run("/compile/loss", part(case.class_name, &case.config));
    }
    for case in optimizer_cases::optimizers() {
        run("/compile/optimizer", part(case.class_name, &case.config));
    }
    for (class_name, config) in optimizer_cases::schedules() {
        let rate = json!({"learning_rate": part(class_name, &config)});
        run("/compile/optimizer", part("SGD", &rate));
    }
    for case in loss_cases::metric_cases() {
        run("/compile/metrics", json!([part(case.class_name, &case.config)]));
    }
    let function = json!({"class_name": "function", "config": "huber"});
    for metric in [
        json!({"module": "keras.losses", "class_name": "Huber", "config": {"delta": 0.5}}),
        function.clone(),
        json!({"class_name": "MeanMetricWrapper", "config": {"fn": function, "name": "h", "delta": 0.3}}),
    ] {
        run("/compile/metrics", json!([metric]));
    }
    for case in callback_cases::cases() {
        run("/callbacks", json!([part(case.class_name, &case.config)]));
    }
    for case in layer_cases::cases() {
        run("/model/config/layers", json!([layer_cases::document(&case)]));
    }
    out
}

/// What the program says to a document, without looking for files.
fn read(document: &Json) -> Result<()> {
    RunConfig::from_json(document)?;
    match &document["model"] {
        model @ Json::Object(_) => Model::from_json(&model.to_string()).map(drop),
        _ => Ok(()),
    }
}

/// The JSON pointers of all values in a document.
fn pointers(value: &Json, at: &str, out: &mut Vec<String>) {
    out.push(at.to_string());
    match value {
        Json::Object(map) => map.iter().for_each(|(k, v)| {
            let key = k.replace('~', "~0").replace('/', "~1");
            pointers(v, &format!("{at}/{key}"), out);
        }),
        Json::Array(list) => {
            list.iter().enumerate().for_each(|(i, v)| pointers(v, &format!("{at}/{i}"), out));
        }
        _ => {}
    }
}

/// A document with one value of a place in it replaced by each of several, and without each of its keys.
fn variations(document: &Json, place: &str) -> Vec<(String, Json)> {
    let probes = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(7.0),
        json!(0.5),
        json!(1e30),
        json!(""),
        json!("nonsense"),
        json!([]),
        json!([1]),
        json!(["nonsense"]),
        json!({}),
        json!({"class_name": "nonsense"}),
        json!({"unknwon_key": 1}),
    ];
    let mut places = Vec::new();
    pointers(document.pointer(place).unwrap(), place, &mut places);
    let mut out = Vec::new();
    for place in places {
        for probe in &probes {
            let mut varied = document.clone();
            *varied.pointer_mut(&place).unwrap() = probe.clone();
            out.push((format!("{place} = {probe}"), varied));
        }
        if let Json::Object(map) = document.pointer(&place).unwrap() {
            for key in map.keys() {
                let mut varied = document.clone();
                let map = varied.pointer_mut(&place).and_then(Json::as_object_mut).unwrap();
                map.shift_remove(key);
                out.push((format!("{place} without {key}"), varied));
            }
            let mut varied = document.clone();
            varied.pointer_mut(&place).unwrap()["unknwon_key"] = json!(1);
            out.push((format!("{place} with an unknown key"), varied));
        }
    }
    out
}

fn validator() -> Validator {
    jsonschema::validator_for(&RunConfig::schema()).unwrap()
}

/// What the program refuses and the schema does not: whole numbers beyond 64 bits, endings of files,
/// values that depend on each other, and the few rules that no attribute of the derive states.
const LEFT_TO_THE_PROGRAM: [&str; 22] = [
    "1e+30",
    "a file of",
    "one ASCII character",
    "AdamW needs a number",
    "needs at least the batch axis",
    "a divisor of",
    "must be less than strides",
    "at most one axis may be -1",
    "must have one shape",
    "must be given together",
    "all of one length at each depth",
    "must be the axes 1, 2, .. in some order",
    "must be above the boundary before it",
    "one for each range of steps",
    "must be of the form",
    "must be one axis or two",
    "must be at least 1, or -1",
    "is for `multi_label` true only",
    "must be classes below",
    "must hold at least one class",
    "must be at least one cell",
    "must be a multiple of num_key_value_heads",
];

/// Empty lists of files are refused where the files are read.
fn is_empty_files(place: &str, varied: &Json) -> bool {
    let is_empty = |value: &Json| *value == json!([]) || *value == json!({});
    place == "/data/train"
        && ["x", "y", "sample_weight"].iter().any(|key| is_empty(&varied["data"]["train"][key]))
}

#[test]
fn the_schema_and_the_program_agree() {
    let validator = validator();
    let mut differences = Vec::new();
    for (document, place) in accepted() {
        if let Err(error) = read(&document) {
            differences.push(format!("the program refuses {document}: {error}"));
        }
        if let Err(error) = validator.validate(&document) {
            let place = error.instance_path();
            differences.push(format!("the schema refuses {document} at `{place}`: {error}"));
        }
        for (what, varied) in variations(&document, place) {
            let (program, schema) = (read(&varied), validator.is_valid(&varied));
            let is_left = match &program {
                Ok(()) => is_empty_files(place, &varied),
                Err(error) => {
                    let message = error.to_string();
                    schema && LEFT_TO_THE_PROGRAM.iter().any(|rule| message.contains(rule))
                }
            };
            if program.is_ok() != schema && !is_left {
                differences.push(format!("{what}: schema {schema}, program {program:?}"));
            }
        }
    }
    differences.sort();
    differences.dedup();
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}
