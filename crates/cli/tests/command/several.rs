//! Models with several inputs and outputs: by place where the order is plain, and by name.

use crate::{folder, sconce};
use sconce::data::{ToTensor, read_npy, write_npy};
use serde_json::{Value, json};
use std::path::Path;

fn edge(layer: &str, width: usize) -> Value {
    json!({"class_name": "__keras_tensor__", "config": {
        "shape": [null, width], "dtype": "float32", "keras_history": [layer, 0, 0],
    }})
}

fn input(name: &str, width: usize) -> Value {
    json!({
        "class_name": "InputLayer", "name": name, "inbound_nodes": [],
        "config": {"batch_shape": [null, width], "name": name},
    })
}

fn dense(name: &str, units: usize, from: &str, width: usize) -> Value {
    json!({
        "class_name": "Dense", "name": name, "config": {"name": name, "units": units},
        "inbound_nodes": [{"args": [edge(from, width)], "kwargs": {}}],
    })
}

/// Two inputs, each with an output of its own: `a` [3] from `wide` [2], and `b` [1] from `tall` [2].
fn model(dicts: bool) -> Value {
    let ends = |first: &str, second: &str| match dicts {
        true => json!({first: [first, 0, 0], second: [second, 0, 0]}),
        false => json!([[first, 0, 0], [second, 0, 0]]),
    };
    json!({"class_name": "Functional", "config": {
        "name": "two",
        "layers": [input("wide", 2), input("tall", 2), dense("a", 3, "wide", 2), dense("b", 1, "tall", 2)],
        "input_layers": ends("wide", "tall"),
        "output_layers": ends("a", "b"),
    }})
}

/// A run, and its files: wide.npy, tall.npy, a.npy (classes), b.npy, and weights v.npy and w.npy.
fn run(dicts: bool, data: &Value) -> tempfile::TempDir {
    let dir = folder(&json!({
        "model": model(dicts),
        "compile": {
            "optimizer": "adam",
            "loss": {"a": "sparse_categorical_crossentropy", "b": "mse"},
            "loss_weights": {"b": 0.5},
            "metrics": {"a": ["accuracy"]},
            "weighted_metrics": {"b": ["mae"]},
        },
        "data": {"train": data, "validation": data},
        "fit": {"epochs": 2, "batch_size": 4},
        "output": {"model": "m.keras", "history": "h.json"},
    }));
    let write = |name: &str, array: &dyn ToTensor| {
        write_npy(dir.path().join(name), &array.to_tensor().unwrap()).unwrap();
    };
    let row = |i: usize, k: f32| [(i as f32 * k).sin(), (i as f32 * k).cos()];
    write("wide.npy", &(0..10).map(|i| row(i, 0.7)).collect::<Vec<_>>());
    write("tall.npy", &(0..10).map(|i| row(i, 1.3)).collect::<Vec<_>>());
    write("a.npy", &(0..10).map(|i| i % 3).collect::<Vec<i64>>());
    write("b.npy", &(0..10).map(|i| [i as f32 / 10.0]).collect::<Vec<_>>());
    write("v.npy", &(0..10).map(|i| i as f32 / 5.0).collect::<Vec<_>>());
    write("w.npy", &(0..10).map(|i| 2.0 - i as f32 / 5.0).collect::<Vec<_>>());
    dir
}

fn history(dir: &Path) -> Value {
    sconce(dir, &["train", "run.json", "--quiet"]).ok();
    let text = std::fs::read_to_string(dir.join("h.json")).unwrap();
    let mut history: Value = serde_json::from_str(&text).unwrap();
    // The configurations differ in form.
    history.as_object_mut().unwrap().remove("run");
    history
}

#[test]
fn lists_and_objects_are_the_same_run() {
    let lists = json!({"x": ["wide.npy", "tall.npy"], "y": ["a.npy", "b.npy"], "sample_weight": ["v.npy", "w.npy"]});
    let objects = json!({
        "x": {"tall": "tall.npy", "wide": "wide.npy"},
        "y": {"b": "b.npy", "a": "a.npy"},
        "sample_weight": {"a": "v.npy", "b": "w.npy"},
    });
    let expected = history(run(false, &lists).path());
    let names: Vec<&String> = expected["history"].as_object().unwrap().keys().collect();
    let logged = ["loss", "a_loss", "b_loss", "a_accuracy", "b_mae"];
    let logged: Vec<String> =
        ["", "val_"].iter().flat_map(|p| logged.map(|name| format!("{p}{name}"))).collect();
    assert_eq!(names, logged.iter().collect::<Vec<_>>());
    assert_eq!(history(run(false, &objects).path()), expected);
    assert_eq!(history(run(true, &objects).path()), expected);

    let swapped = json!({"x": lists["x"], "y": lists["y"], "sample_weight": ["w.npy", "v.npy"]});
    assert_ne!(history(run(false, &swapped).path()), expected);
    let one = json!({"x": lists["x"], "y": lists["y"], "sample_weight": "v.npy"});
    let both = json!({"x": lists["x"], "y": lists["y"], "sample_weight": ["v.npy", "v.npy"]});
    assert_eq!(history(run(false, &one).path()), history(run(false, &both).path()));
}

#[test]
fn evaluate_and_predict_take_names() {
    let data =
        json!({"x": {"tall": "tall.npy", "wide": "wide.npy"}, "y": {"b": "b.npy", "a": "a.npy"}});
    for dicts in [false, true] {
        let dir = run(dicts, &data);
        let history = history(dir.path());
        let evaluate = |args: &[&str]| {
            let args = [&["evaluate", "m.keras", "--json"], args].concat();
            sconce(dir.path(), &args)
        };
        let scores: Value = serde_json::from_str(
            &evaluate(&["--x", "tall=tall.npy", "--x=wide=wide.npy", "--y=b=b.npy", "--y=a=a.npy"])
                .ok()
                .out,
        )
        .unwrap();
        for (name, value) in scores.as_object().unwrap() {
            let last = history["history"][format!("val_{name}")][1].as_f64().unwrap();
            assert!((value.as_f64().unwrap() - last).abs() < 1e-6, "{name}: {value} {last}");
        }
        let predict = |args: &[&str]| sconce(dir.path(), &[&["predict", "m.keras"], args].concat());
        predict(&[
            "--input=wide=wide.npy",
            "--input=tall=tall.npy",
            "--output=b=pb.npy",
            "--output=a=pa.npy",
        ])
        .ok();
        let dims = |name: &str| read_npy(dir.path().join(name)).unwrap().dims().to_vec();
        assert_eq!((dims("pa.npy"), dims("pb.npy")), (vec![10, 3], vec![10, 1]));

        let by_place = predict(&[
            "--input=wide.npy",
            "--input=tall.npy",
            "--output=qa.npy",
            "--output=qb.npy",
        ]);
        if dicts {
            let error = by_place.fails(2);
            assert!(
                error.contains("--input: the inputs of this model are a dict (tall, wide)"),
                "{error}"
            );
            let error =
                evaluate(&["--x=wide.npy", "--x=tall.npy", "--y=a.npy", "--y=b.npy"]).fails(2);
            assert!(
                error.contains("--x: the inputs of this model are a dict (tall, wide)"),
                "{error}"
            );
        } else {
            by_place.ok();
            let bytes = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
            assert_eq!((bytes("qa.npy"), bytes("qb.npy")), (bytes("pa.npy"), bytes("pb.npy")));
        }
        let summary = sconce(dir.path(), &["summary", "m.keras"]).ok().out;
        for layer in ["wide (InputLayer)", "tall (InputLayer)", "a (Dense)", "b (Dense)"] {
            assert!(summary.contains(layer), "{layer}: {summary}");
        }
    }
}

#[test]
fn wrong_numbers_and_names_are_refused_before_training() {
    let error = |dicts: bool, x: Value, y: Value| {
        let dir = run(dicts, &json!({"x": x, "y": y}));
        sconce(dir.path(), &["train", "run.json"]).fails(2)
    };
    let x = json!({"tall": "tall.npy", "wide": "wide.npy"});
    let text = error(false, x.clone(), json!("a.npy"));
    assert!(
        text.contains("`data.train.y`: y holds 1 array, the model has 2 outputs (a, b)"),
        "{text}"
    );
    let text = error(false, json!("wide.npy"), json!(["a.npy", "b.npy"]));
    assert!(
        text.contains("`data.train.x`: x holds 1 array, the model has 2 inputs (wide, tall)"),
        "{text}"
    );
    let text = error(false, x.clone(), json!({"a": "a.npy", "c": "b.npy"}));
    assert!(text.contains("`data.train.y`: unknown output `c`"), "{text}");
    let text = error(true, x, json!(["a.npy", "b.npy"]));
    assert!(text.contains("`data.train.y`: the outputs of this model are a dict (a, b)"), "{text}");
    let text = error(true, json!(["wide.npy", "tall.npy"]), json!({"a": "a.npy", "b": "b.npy"}));
    assert!(
        text.contains("`data.train.x`: the inputs of this model are a dict (tall, wide)"),
        "{text}"
    );
}

/// An output without a loss needs no targets.
#[test]
fn targets_of_outputs_without_a_loss_may_be_left_out() {
    let dir = run(false, &json!({"x": ["wide.npy", "tall.npy"], "y": {"a": "a.npy"}}));
    let set = "compile={\"loss\": {\"a\": \"sparse_categorical_crossentropy\", \"b\": null}}";
    sconce(dir.path(), &["train", "run.json", "--quiet", "--set", set]).ok();
    let args = ["evaluate", "m.keras", "--x=wide.npy", "--x=tall.npy", "--y=a=a.npy", "--json"];
    let scores: Value = serde_json::from_str(&sconce(dir.path(), &args).ok().out).unwrap();
    assert_eq!(scores.as_object().unwrap().keys().collect::<Vec<_>>(), ["loss"]);
}
