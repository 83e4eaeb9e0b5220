//! The commands on trained models: predict, evaluate, summary, convert, schema.

use crate::{config, folder, sconce};
use ndarray::{Array1, Array2};
use sconce::data::{ToTensor, read_npy, write_npy};
use serde_json::{Value, json};
use std::path::Path;

/// A folder with a trained model, and x.npy [6, 4] and y.npy `[6]`.
fn trained() -> tempfile::TempDir {
    let mut config = config();
    config["output"] = json!({"model": "m.keras"});
    let dir = folder(&config);
    sconce(dir.path(), &["train", "run.json", "--quiet"]).ok();
    let x = Array2::from_shape_fn((6, 4), |(i, j)| (i * 4 + j) as f32 / 10.0);
    write_npy(dir.path().join("x.npy"), &x.to_tensor().unwrap()).unwrap();
    let y = Array1::from_iter((0..6).map(|i| i % 3_i64));
    write_npy(dir.path().join("y.npy"), &y.to_tensor().unwrap()).unwrap();
    dir
}

fn predict(dir: &Path, model: &str, more: &[&str]) -> Vec<Vec<f32>> {
    let args = [&["predict", model, "--input", "x.npy", "--output", "out/p.npy"], more].concat();
    assert_eq!(sconce(dir, &args).ok().out, "out/p.npy: [6, 3]\n");
    read_npy(dir.join("out/p.npy")).unwrap().to_vec2::<f32>().unwrap()
}

#[test]
fn predictions_are_probabilities_and_do_not_depend_on_batches() {
    let dir = trained();
    let p = predict(dir.path(), "m.keras", &[]);
    assert!(p.iter().all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5));
    assert_eq!(p, predict(dir.path(), "m.keras", &["--batch-size", "4"]));
}

#[test]
fn evaluate_prints_scores() {
    let dir = trained();
    let args = ["evaluate", "m.keras", "--x", "x.npy", "--y", "y.npy"];
    let text = sconce(dir.path(), &args).ok().out;
    assert!(text.starts_with("loss: ") && text.contains(" - accuracy: "), "{text}");
    let json = sconce(dir.path(), &[&args[..], &["--json"]].concat()).ok().out;
    let scores: Value = serde_json::from_str(&json).unwrap();
    assert!(scores["loss"].as_f64().unwrap() > 0.0 && scores["accuracy"].is_f64(), "{json}");
    assert_eq!(scores.as_object().unwrap().len(), 2);
}

#[test]
fn trained_models_go_on() {
    let mut config = config();
    config["model"] = json!("m.keras");
    config.as_object_mut().unwrap().remove("compile");
    let dir = trained();
    std::fs::write(dir.path().join("run.json"), config.to_string()).unwrap();
    let err = sconce(dir.path(), &["train", "run.json"]).ok().err;
    assert!(err.contains("Epoch 2/2"), "{err}");
}

#[test]
fn models_are_converted() {
    let dir = trained();
    let ok = |args: &[&str]| sconce(dir.path(), args).ok().out;
    assert_eq!(ok(&["convert", "m.keras", "m.json"]), "m.json\n");
    assert_eq!(ok(&["convert", "m.keras", "m.safetensors"]), "m.safetensors\n");
    ok(&["convert", "m.json", "fresh.keras"]);
    ok(&["convert", "m.keras", "again.keras"]);
    ok(&["convert", "m.safetensors", "back.keras"]);
    ok(&["convert", "m.json", "again.json"]);
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("m.json"), read("again.json"));
    assert_eq!(predict(dir.path(), "m.keras", &[]), predict(dir.path(), "again.keras", &[]));
    assert_eq!(predict(dir.path(), "m.keras", &[]), predict(dir.path(), "back.keras", &[]));
    assert_ne!(predict(dir.path(), "m.keras", &[]), predict(dir.path(), "fresh.keras", &[]));
    let weights = sconce::saving::SafetensorsFile::read(dir.path().join("m.safetensors")).unwrap();
    let names: Vec<&str> = weights.tensors.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]);

    let fails = |args: &[&str], code| sconce(dir.path(), args).fails(code);
    let theirs = sconce::saving::SafetensorsFile { metadata: Default::default(), ..weights };
    theirs.write(dir.path().join("theirs.safetensors")).unwrap();
    let err = fails(&["convert", "theirs.safetensors", "b.keras"], 1);
    assert!(err.contains("theirs.safetensors: holds weights without an architecture"), "{err}");
    assert!(
        fails(&["convert", "m.keras", "m.h5"], 2).contains(".weights.h5, .json or .safetensors")
    );
    assert!(
        fails(&["convert", "m.txt", "b.keras"], 2)
            .contains("a .keras, .h5, .json or .safetensors file")
    );
    assert!(fails(&["convert", "no.keras", "b.keras"], 1).contains("no.keras"));
    assert!(fails(&["convert", "m.keras", "m.json/b.json"], 1).contains("cannot be written"));
    std::fs::write(
        dir.path().join("cut.keras"),
        &std::fs::read(dir.path().join("m.keras")).unwrap()[..300],
    )
    .unwrap();
    assert!(fails(&["convert", "cut.keras", "b.keras"], 1).contains("cut.keras"));
    let shapeless = json!({"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"units": 2}}]}});
    std::fs::write(dir.path().join("s.json"), shapeless.to_string()).unwrap();
    let err = fails(&["convert", "s.json", "b.keras"], 2);
    assert!(err.contains("the shape of its input is not known"), "{err}");
}

#[test]
fn summaries_of_every_kind_of_file() {
    let dir = trained();
    sconce(dir.path(), &["convert", "m.keras", "m.json"]).ok();
    for file in ["m.keras", "m.json", "run.json"] {
        let out = sconce(dir.path(), &["summary", file]).ok().out;
        assert!(
            out.contains("dense_1 (Dense)") && out.contains("Total params: 67"),
            "{file}: {out}"
        );
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/keras_files");
    let custom = golden.join("custom_layer.keras");
    let refused = sconce(dir.path(), &["summary", custom.to_str().unwrap()]).fails(1);
    for part in ["mine (Doubling)", "dense (Dense)", "Written by: Keras 3", "layer `mine`"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert!(sconce(dir.path(), &["summary", "x.npy"]).fails(2).contains("a .keras, .h5, .json or"));
}

#[test]
fn wrong_inputs_are_refused() {
    let dir = trained();
    let fails = |args: &[&str], code| sconce(dir.path(), args).fails(code);
    let err = fails(&["predict", "m.keras", "--input", "y.npy", "--output", "p.npy"], 1);
    assert!(err.contains("[6]") && err.contains("(None, 4)"), "{err}");
    let err = fails(
        &["predict", "m.keras", "--input", "x.npy", "--input", "x.npy", "--output", "p.npy"],
        2,
    );
    assert!(err.contains("the model has 1 input (input_layer), got 2 files"), "{err}");
    let err = fails(&["predict", "m.keras", "--input", "no.npy", "--output", "p.npy"], 1);
    assert!(err.contains("no.npy: cannot be read"), "{err}");
    let err = fails(&["predict", "m.keras", "--input", "x.npy", "--output", "x.npy/p.npy"], 1);
    assert!(err.contains("cannot be written"), "{err}");
    let err = fails(&["predict", "m.json", "--input", "x.npy", "--output", "p.npy"], 2);
    assert!(err.contains("MODEL must be a .keras, .h5, .hdf5 or .safetensors file"), "{err}");
    let err = fails(&["evaluate", "m.keras", "--x", "x.npy", "--y", "x.npy"], 1);
    assert!(err.contains("[6, 4]"), "{err}");
    sconce(dir.path(), &["convert", "run.json", "plain.keras"]).fails(2);
    sconce(dir.path(), &["convert", "m.keras", "m.json"]).ok();
    sconce(dir.path(), &["convert", "m.json", "plain.keras"]).ok();
    let err = fails(&["evaluate", "plain.keras", "--x", "x.npy", "--y", "y.npy"], 1);
    assert!(err.contains("holds no compile state"), "{err}");
}

/// The schema knows the keys that configurations have.
#[test]
fn the_schema_describes_configurations() {
    let dir = folder(&config());
    let schema: Value = serde_json::from_str(&sconce(dir.path(), &["schema"]).ok().out).unwrap();
    assert_eq!(schema["$ref"], json!("#/$defs/RunConfig"));
    let run = &schema["$defs"]["RunConfig"];
    let keys: Vec<&String> = run["properties"].as_object().unwrap().keys().collect();
    let expected =
        ["$schema", "model", "compile", "data", "fit", "callbacks", "output", "checkpoint"];
    assert_eq!(keys, expected);
    assert_eq!(run["additionalProperties"], json!(false));
    assert_eq!(run["required"], json!(["model", "data"]));
    let fit = &schema["$defs"]["FitSection"]["properties"];
    assert_eq!(fit["epochs"]["default"], json!(1));
    assert!(fit["epochs"]["description"].is_string());
    for (part, names) in [
        ("optimizer", ["adam", "clipnorm"]),
        ("loss", ["sparse_categorical_crossentropy", "label_smoothing"]),
        ("metric", ["accuracy", "threshold"]),
        ("callback", ["EarlyStopping", "restore_best_weights"]),
        ("layer", ["Dense", "inbound_nodes"]),
    ] {
        let text = schema["$defs"].to_string();
        assert!(schema["$defs"][part].is_object(), "{part}");
        for name in names {
            assert!(text.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}

#[test]
fn each_output_has_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/keras_forms/dicts.keras");
    for (file, width) in [("narrow.npy", 3), ("wide.npy", 4)] {
        let x = Array2::from_shape_fn((5, width), |(i, j)| (i + j) as f32);
        write_npy(dir.path().join(file), &x.to_tensor().unwrap()).unwrap();
    }
    let unnamed = ["predict", model, "--input", "narrow.npy", "--input", "wide.npy"];
    let outputs = ["--output", "left=left.npy", "--output", "right=right.npy"];
    let error = sconce(dir.path(), &[&unnamed[..], &outputs].concat()).fails(2);
    assert!(error.contains("the inputs of this model are a dict (narrow, wide)"), "{error}");
    let input = ["predict", model, "--input", "wide=wide.npy", "--input", "narrow=narrow.npy"];
    let error = sconce(dir.path(), &[&input[..], &["--output", "left.npy"]].concat()).fails(2);
    assert!(
        error.contains(
            "--output: the model has 2 outputs (left, right), got 1 file; give one for each"
        ),
        "{error}"
    );
    let wrong = ["--output", "left=left.npy", "--output", "rigth=right.npy"];
    let error = sconce(dir.path(), &[&input[..], &wrong].concat()).fails(2);
    assert!(error.contains("unknown output `rigth`. Did you mean `right`?"), "{error}");
    let out = sconce(dir.path(), &[&input[..], &outputs].concat()).ok().out;
    assert_eq!(out, "left.npy: [5, 2]\nright.npy: [5, 3]\n");
    assert_eq!(read_npy(dir.path().join("right.npy")).unwrap().dims(), [5, 3]);
}

/// A file of Keras 1 becomes one of Keras 3 that predicts the same; what was reinterpreted is said.
#[test]
fn files_of_older_keras() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/old_files");
    let old = golden.join("keras_1.h5");
    let dir = tempfile::tempdir().unwrap();
    let x = Array2::from_shape_fn((4, 18), |(i, j)| (i * 18 + j) as f32 / 40.0 - 1.0);
    let x = x.to_tensor().unwrap().reshape((4, 6, 3)).unwrap();
    write_npy(dir.path().join("x.npy"), &x).unwrap();
    let old = old.to_str().unwrap();
    let converted = sconce(dir.path(), &["convert", old, "new.keras", "--check", "x.npy"]).ok();
    assert!(converted.err.contains("note: Convolution1D is Conv1D"), "{}", converted.err);
    let statistics: Vec<&str> = converted
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("IN ").or(line.strip_prefix("OUT ")))
        .collect();
    assert!(statistics.len() == 2 && statistics[0] == statistics[1], "{}", converted.out);
    let summary = sconce(dir.path(), &["summary", old]).ok().out;
    assert!(summary.contains("Written by: Keras 1.2.2 (tensorflow), HDF5"), "{summary}");

    let json = golden.join("weights_alone.json");
    let weights = golden.join("weights_alone.h5");
    let (json, weights) = (json.to_str().unwrap(), weights.to_str().unwrap());
    for out in ["alone.keras", "alone.weights.h5", "alone.safetensors"] {
        sconce(dir.path(), &["convert", json, out, "--weights", weights]).ok();
    }
    let error = sconce(dir.path(), &["convert", weights, "no.keras"]).fails(1);
    assert!(error.contains("holds weights without a model"), "{error}");
}
