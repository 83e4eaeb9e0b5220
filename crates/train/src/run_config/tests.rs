//! Run configurations from Rust. What the command does with them is tested there.

use super::*;
use serde_json::json;

fn config() -> Json {
    json!({
        "model": {"class_name": "Sequential", "config": {"layers": [
            {"class_name": "Dense", "config": {"units": 4, "activation": "relu"}},
            {"class_name": "Dense", "config": {"units": 3}},
        ]}},
        "compile": {"optimizer": "adam", "loss": "sparse_categorical_crossentropy"},
        "data": {"train": {"dataset": "iris", "split": "train", "standardize": true}},
    })
}

#[test]
fn a_run_from_rust() {
    let mut config = config();
    config["fit"] = json!({"epochs": 3, "validation_split": 0.2});
    let config = RunConfig::from_json(&config).unwrap();
    let mut run = config.prepare(&sconce_core::Device::Cpu).unwrap();
    let outcome = run.train_quietly().unwrap();
    assert_eq!(outcome.history.epoch, [0, 1, 2]);
    let scores = outcome.validation.unwrap();
    assert_eq!(scores.get("loss"), outcome.history.last("val_loss"));
}

#[test]
fn the_seed_decides_the_first_weights() {
    let first = |seed: u64| {
        let mut config = config();
        config["fit"] = json!({"seed": seed});
        let config = RunConfig::from_json(&config).unwrap();
        let model = config.build_model(&sconce_core::Device::Cpu).unwrap();
        let kernel = model.store().unwrap().get("dense/kernel").unwrap().var.flatten_all();
        kernel.unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}

#[test]
fn what_is_read_is_written_again() {
    let mut value = config();
    value["fit"] =
        json!({"epochs": 3, "shuffle": "batch", "verbose": 2, "class_weight": {"1": 2.0}});
    value["callbacks"] = json!([{"class_name": "EarlyStopping", "config": {"patience": 3}}]);
    value["output"] = json!({"model": "a.keras"});
    let written = serde_json::to_value(RunConfig::from_json(&value).unwrap()).unwrap();
    let again = serde_json::to_value(RunConfig::from_json(&written).unwrap()).unwrap();
    assert_eq!(written, again);
    assert_eq!(written["fit"]["shuffle"], json!("batch"));
    assert_eq!(written["fit"]["class_weight"], json!({"1": 2.0}));
    assert_eq!(written["callbacks"][0]["config"]["patience"], json!(3));
}

/// A table of which `a` alone decides the target, in two files whose columns differ in order.
#[test]
fn a_validation_csv_is_matched_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let write = |name: &str, header: &str, row: fn(usize) -> String| {
        let rows: String = (0..40).map(|i| row(i) + "\n").collect();
        std::fs::write(file(name), format!("{header}\n{rows}")).unwrap();
    };
    write("train.csv", "a,b,y", |i| format!("{i},{},{}", 100 * i, i as f64 / 2.0));
    write("same.csv", "a,b,y", |i| format!("{i},{},{}", 100 * i, i as f64 / 2.0));
    write("swapped.csv", "y,b,a", |i| format!("{},{},{i}", i as f64 / 2.0, 100 * i));
    write("foreign.csv", "a,c,y", |i| format!("{i},{},{}", 100 * i, i as f64 / 2.0));
    let validated = |name: &str| {
        let config = json!({
            "model": {"class_name": "Sequential", "config": {"layers": [
                {"class_name": "Dense", "config": {"units": 1}},
            ]}},
            "compile": {"optimizer": {"class_name": "SGD", "config": {"learning_rate": 1e-9}}, "loss": "mse"},
            "data": {
                "train": {"csv": file("train.csv"), "target": "y"},
                "validation": {"csv": file(name), "target": "y"},
            },
        });
        let mut run = RunConfig::from_json(&config).unwrap().prepare(&sconce_core::Device::Cpu)?;
        Ok(run.train_quietly()?.validation.unwrap().get("loss").unwrap())
    };
    let same: Result<f64> = validated("same.csv");
    assert_eq!(validated("swapped.csv").unwrap(), same.unwrap());
    let error = validated("foreign.csv").unwrap_err().to_string();
    assert!(
        error.contains("foreign.csv: does not have the columns of the training data"),
        "{error}"
    );
    assert!(error.contains("it lacks the column b; it has besides the column c;"), "{error}");
}

/// Arrays given by name are compared with the names of the model.
#[test]
fn named_inputs_and_targets_find_their_place() {
    use sconce_data::{ToTensor, write_npy};
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    write_npy(file("x.npy"), &[[1f32, 2.], [3., 4.]].to_tensor().unwrap()).unwrap();
    write_npy(file("y.npy"), &[[1f32], [2.]].to_tensor().unwrap()).unwrap();
    let prepare = |x: Json, y: Json| {
        let config = json!({
            "model": {"class_name": "Sequential", "config": {"name": "s", "layers": [
                {"class_name": "InputLayer", "config": {"batch_shape": [null, 2], "name": "wide"}},
                {"class_name": "Dense", "config": {"units": 1, "name": "out"}},
            ]}},
            "compile": {"loss": "mse"},
            "data": {"train": {"x": x, "y": y}},
        });
        RunConfig::from_json(&config).unwrap().prepare(&sconce_core::Device::Cpu).map(drop)
    };
    let (x, y) = (file("x.npy"), file("y.npy"));
    prepare(json!({"wide": x}), json!({"out": y})).unwrap();
    let error = prepare(json!({"wild": x}), json!(y)).unwrap_err().to_string();
    assert!(
        error.contains("at `data.train.x`: unknown input `wild`. Did you mean `wide`"),
        "{error}"
    );
    let error = prepare(json!(x), json!({"output": y})).unwrap_err().to_string();
    assert!(error.contains("at `data.train.y`: unknown output `output`. "), "{error}");
    let error = prepare(json!(x), json!([y, y])).unwrap_err().to_string();
    assert!(
        error.contains("at `data.train.y`: y holds 2 arrays, the model has 1 output (out)"),
        "{error}"
    );
}

/// A run of a model that gives 0 and does not learn, in files.
fn zero_run(data: Json) -> Result<(f64, Option<f64>)> {
    let config = json!({
        "model": {"class_name": "Sequential", "config": {"layers": [
            {"class_name": "Dense", "config": {"units": 1, "kernel_initializer": "zeros"}},
        ]}},
        "compile": {"optimizer": {"class_name": "SGD", "config": {"learning_rate": 0.0}}, "loss": "mse"},
        "data": data,
    });
    let mut run = RunConfig::from_json(&config)?.prepare(&sconce_core::Device::Cpu)?;
    let outcome = run.train_quietly()?;
    let validation = outcome.validation.and_then(|scores| scores.get("loss"));
    Ok((outcome.history.last("loss").unwrap(), validation))
}

#[test]
fn sample_weights_reach_training_and_validation() {
    use sconce_data::{ToTensor, write_npy};
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let write = |name: &str, values: [f32; 4]| {
        write_npy(file(name), &values.to_tensor().unwrap()).unwrap();
    };
    write("y.npy", [1., 2., 3., 4.]);
    write("w.npy", [1., 0., 2., 0.5]);
    let x = file("x.npy");
    write_npy(&x, &[[1f32], [1.], [1.], [1.]].to_tensor().unwrap()).unwrap();
    let plain = json!({"x": x, "y": file("y.npy")});
    let weighted = json!({"x": x, "y": file("y.npy"), "sample_weight": file("w.npy")});
    let losses = zero_run(json!({"train": weighted, "validation": plain})).unwrap();
    assert_eq!(losses, (27.0 / 4.0, Some(30.0 / 4.0)));
    let losses = zero_run(json!({"train": plain, "validation": weighted})).unwrap();
    assert_eq!(losses, (30.0 / 4.0, Some(27.0 / 4.0)));
}

#[test]
fn classes_of_validation_must_be_those_of_training() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(file("train.csv"), "a,y\n1,cat\n2,dog\n3,cat\n").unwrap();
    std::fs::write(file("more.csv"), "a,y\n1,cat\n2,cow\n3,dog\n").unwrap();
    let csv = |name: &str| json!({"csv": file(name), "target": "y"});
    let data = json!({"train": csv("train.csv"), "validation": csv("more.csv")});
    let error = zero_run(data).unwrap_err().to_string();
    assert!(error.contains("at `data.validation`") || error.contains("more.csv"), "{error}");
    assert!(error.contains("cow"), "{error}");
}

/// What a run that fails had made is kept.
#[test]
fn a_run_that_fails_keeps_the_history_of_its_whole_epochs() {
    use sconce_data::{ToTensor, write_npy};
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    write_npy(file("x.npy"), &[[1f32]].to_tensor().unwrap()).unwrap();
    write_npy(file("y.npy"), &[[5f32]].to_tensor().unwrap()).unwrap();
    // The error is multiplied by -1e10 in each epoch, until the loss overflows in the fourth.
    let config = json!({
        "model": {"class_name": "Sequential", "config": {"layers": [
            {"class_name": "Dense", "config": {"units": 1, "use_bias": false, "kernel_initializer": "zeros"}},
        ]}},
        "compile": {"optimizer": {"class_name": "SGD", "config": {"learning_rate": 5e9}}, "loss": "mse"},
        "data": {"train": {"x": file("x.npy"), "y": file("y.npy")}},
        "fit": {"epochs": 10},
        "output": {"model": file("m.keras"), "history": file("h.json")},
    });
    let mut run =
        RunConfig::from_json(&config).unwrap().prepare(&sconce_core::Device::Cpu).unwrap();
    let error = run.train_quietly().unwrap_err().to_string();
    assert!(error.contains("the loss is not finite at update"), "{error}");
    let history: crate::History =
        serde_json::from_str(&std::fs::read_to_string(file("h.json")).unwrap()).unwrap();
    assert!(history.epoch.len() > 1 && history.get("loss").iter().all(|loss| loss.is_finite()));
    // The weights before the update that was not made.
    crate::Model::load(file("m.keras")).unwrap();
    // A file that is there stays.
    let good = std::fs::read(file("m.keras")).unwrap();
    let mut run =
        RunConfig::from_json(&config).unwrap().prepare(&sconce_core::Device::Cpu).unwrap();
    run.train_quietly().unwrap_err();
    assert_eq!(std::fs::read(file("m.keras")).unwrap(), good);
}
