//! CSV and `.npz` files in and out, and what a model remembers of the table that it was trained on.

use crate::{folder, sconce};
use ndarray::array;
use sconce::data::{ToTensor, read_npy, write_npy};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// Flowers in inches and millimetres: the class depends on both columns, at very different scales.
fn write_table(path: &Path, columns: [&str; 3], rows: usize) {
    let mut text = columns.join(",") + "\n";
    for i in 0..rows {
        let class = i % 2;
        let a = 0.001 * (i % 7) as f64 + 0.01 * class as f64;
        let b = 1000.0 + 37.0 * (i % 5) as f64;
        let field = |column: &str| match column {
            "a" => a.to_string(),
            "b" => b.to_string(),
            "kind" => ["rose", "tulip"][class].to_string(),
            other => panic!("{other}"),
        };
        text += &(columns.map(field).join(",") + "\n");
    }
    std::fs::write(path, text).unwrap();
}

fn trained() -> tempfile::TempDir {
    let dir = folder(&json!({
        "model": {"class_name": "Sequential", "config": {"layers": [
            {"class_name": "Dense", "config": {"units": 8, "activation": "tanh"}},
            {"class_name": "Dense", "config": {"units": 2, "activation": "softmax"}},
        ]}},
        "compile": {"optimizer": {"class_name": "Adam", "config": {"learning_rate": 0.05}},
            "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
        "data": {
            "train": {"csv": "train.csv", "target": "kind", "standardize": true},
            "validation": {"csv": "new.csv", "target": "kind"},
        },
        "fit": {"epochs": 30, "batch_size": 16},
        "output": {"model": "m.keras"},
    }));
    write_table(&dir.path().join("train.csv"), ["a", "b", "kind"], 70);
    write_table(&dir.path().join("new.csv"), ["kind", "b", "a"], 70);
    let out = sconce(dir.path(), &["train", "run.json", "--quiet"]).ok().out;
    assert!(out.contains("accuracy: 1.0000"), "{out}");
    dir
}

#[test]
fn a_model_takes_the_table_as_it_is() {
    let dir = trained();
    let dir = dir.path();
    let summary = sconce(dir, &["summary", "m.keras"]).ok().out;
    for part in [
        "normalization (Normalization)",
        "Columns of the input: a, b",
        "Target: kind",
        "Classes: rose, tulip",
    ] {
        assert!(summary.contains(part), "{part}\n{summary}");
    }
    // The columns in any order, with the target or without; raw numbers.
    let evaluated = sconce(dir, &["evaluate", "m.keras", "--x", "new.csv", "--json"]).ok().out;
    let scores: Value = serde_json::from_str(&evaluated).unwrap();
    assert_eq!(scores["accuracy"], json!(1.0));
    std::fs::write(dir.join("two.csv"), "b,a\n1000,0.001\n1000,0.012\n").unwrap();
    let out = sconce(dir, &["predict", "m.keras", "--input", "two.csv"]).ok().out;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "kind,rose,tulip");
    assert!(lines[1].starts_with("rose,") && lines[2].starts_with("tulip,"), "{out}");
    sconce(dir, &["predict", "m.keras", "--input", "two.csv", "--output", "p.csv"]).ok();
    assert_eq!(std::fs::read_to_string(dir.join("p.csv")).unwrap(), out);
    let printed = sconce(dir, &["predict", "m.keras", "--input", "two.csv", "--json"]).ok().out;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["dense_1"].as_array().unwrap().len(), 2);

    std::fs::write(dir.join("foreign.csv"), "b,c\n1000,1\n").unwrap();
    let error = sconce(dir, &["predict", "m.keras", "--input", "foreign.csv"]).fails(1);
    assert!(
        error.contains("lacks the column a") && error.contains("besides the column c"),
        "{error}"
    );
    let error = sconce(dir, &["evaluate", "m.keras", "--x", "two.csv"]).fails(1);
    assert!(error.contains("unknown column `kind`"), "{error}");
    // What is written anew keeps the columns.
    sconce(dir, &["convert", "m.keras", "again.keras"]).ok();
    assert_eq!(sconce(dir, &["summary", "again.keras"]).ok().out, summary);
}

/// Training goes on with the layer that is there, without a second one.
#[test]
fn a_model_is_standardised_once() {
    let dir = trained();
    let before = sconce(dir.path(), &["summary", "m.keras"]).ok().out;
    let args = ["train", "run.json", "--set", "model=m.keras", "--set", "compile=null"];
    let ran = sconce(dir.path(), &args).ok();
    assert!(ran.err.contains("begins with the layer normalization already"), "{}", ran.err);
    assert!(ran.out.contains("accuracy: 1.0000"), "{}", ran.out);
    assert_eq!(sconce(dir.path(), &["summary", "m.keras"]).ok().out, before);
}

#[test]
fn data_is_standardised_for_both_or_for_none() {
    let dir = trained();
    let args = ["train", "run.json", "--set", "data.train.standardize=false"];
    sconce(dir.path(), &[&args[..], &["--quiet"]].concat()).ok();
    let set = ["--set", "data.validation.standardize=true"];
    let error = sconce(dir.path(), &[&args[..], &set].concat()).fails(2);
    assert!(error.contains("at `data.validation.standardize`: "), "{error}");
}

/// A functional model: everything that read its input reads the new layer.
#[test]
fn functional_models_are_standardised_too() {
    let edge = |from: &str, width: usize| {
        json!({"class_name": "__keras_tensor__", "config": {
            "shape": [null, width], "dtype": "float32", "keras_history": [from, 0, 0]}})
    };
    let dense = |name: &str, units: usize, from: Value| {
        json!({"class_name": "Dense", "name": name, "config": {"name": name, "units": units},
            "inbound_nodes": [{"args": [from], "kwargs": {}}]})
    };
    let dir = folder(&json!({
        "model": {"class_name": "Functional", "config": {
            "layers": [
                {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
                    "config": {"batch_shape": [null, 2], "name": "x"}},
                dense("a", 2, edge("x", 2)), dense("b", 1, edge("x", 2)),
            ],
            "input_layers": ["x", 0, 0], "output_layers": [["a", 0, 0], ["b", 0, 0]],
        }},
        "compile": {"loss": {"a": "sparse_categorical_crossentropy", "b": null}},
        "data": {"train": {"csv": "train.csv", "target": "kind", "standardize": true}},
        "output": {"model": "m.keras"},
    }));
    write_table(&dir.path().join("train.csv"), ["a", "b", "kind"], 70);
    sconce(dir.path(), &["train", "run.json", "--quiet"]).ok();
    let summary = sconce(dir.path(), &["summary", "m.keras"]).ok().out;
    assert!(summary.contains("normalization (Normalization)"), "{summary}");
    let x = [[0.001f32, 1000.0], [0.012, 1148.0]];
    write_npy(dir.path().join("x.npy"), &x.to_tensor().unwrap()).unwrap();
    let args = ["predict", "m.keras", "--input=x.npy", "--output=a.npy", "--output=b.npy"];
    sconce(dir.path(), &args).ok();
    // Outputs of standardised data: those of raw rows would be in the hundreds.
    let b = read_npy(dir.path().join("b.npy")).unwrap().flatten_all().unwrap();
    let b = b.to_vec1::<f32>().unwrap();
    assert!(b.iter().all(|b| b.abs() < 8.0), "{b:?}");
}

#[test]
fn npz_files_hold_several_arrays() {
    let dir = trained();
    let dir = dir.path();
    let x = array![[0.001f32, 1000.], [0.012, 1000.]];
    write_npy(dir.join("x.npy"), &x.to_tensor().unwrap()).unwrap();
    let mut file = zip::ZipWriter::new(std::fs::File::create(dir.join("d.npz")).unwrap());
    file.start_file("anything.npy", zip::write::SimpleFileOptions::default()).unwrap();
    file.write_all(&std::fs::read(dir.join("x.npy")).unwrap()).unwrap();
    file.finish().unwrap();
    write_npy(dir.join("y.npy"), &[0i64, 1].to_tensor().unwrap()).unwrap();
    let predict = |input: &str| {
        sconce(dir, &["predict", "m.keras", "--input", input, "--output", "-"]).ok().out
    };
    assert_eq!(predict("d.npz"), predict("x.npy"));
    let evaluate =
        |x: &str| sconce(dir, &["evaluate", "m.keras", "--x", x, "--y", "y.npy"]).ok().out;
    assert_eq!(evaluate("d.npz"), evaluate("x.npy"));
    let error = sconce(dir, &["evaluate", "m.keras", "--x", "x.npy"]).fails(2);
    assert!(error.contains("--y is missing"), "{error}");
}

#[test]
fn models_and_configurations_are_told_apart() {
    let dir = trained();
    let error = |args: &[&str]| sconce(dir.path(), args).fails(2);
    assert!(
        error(&["train", "m.keras"])
            .contains("`m.keras` is a model; CONFIG is a run configuration")
    );
    let text = error(&["predict", "run.json", "--input", "new.csv"]);
    assert!(
        text.contains("MODEL must be a .keras, .h5, .hdf5 or .safetensors file, got `run.json`"),
        "{text}"
    );
    assert!(text.contains("train it first"), "{text}");
    let text = error(&["convert", "run.json", "new.keras"]);
    assert!(text.contains("`run.json` is a run configuration where a model is wanted"), "{text}");
    sconce(dir.path(), &["convert", "m.keras", "m.json"]).ok();
    assert!(error(&["train", "m.json"]).contains("`m.json` is a model; CONFIG"));
}
