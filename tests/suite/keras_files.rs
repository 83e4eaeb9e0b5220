//! Files that Keras made: they load, predict what Keras predicts, train on as Keras does, and come
//! back; files that hold what is not supported are refused with all of it.

use sconce::core::Kind;
use sconce::layers::Layers;
use sconce::prelude::*;
use sconce_testkit::golden::{self, Case};
use sconce_testkit::{devices, python};
use std::path::PathBuf;
use std::process::Command;

fn cases() -> Vec<Case> {
    golden::load("keras_files")
}

fn file(case: &Case, key: &str) -> PathBuf {
    golden::path(case.field(key).as_str().unwrap())
}

fn npy(case: &Case, key: &str) -> Tensor {
    sconce::data::read_npy(file(case, key)).unwrap()
}

/// Largest difference, relative to values above 1.
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let f64s = |t: &Tensor| {
        let here = t.to_device(&Device::Cpu).unwrap().to_dtype(DType::F64).unwrap();
        here.flatten_all().unwrap().to_vec1::<f64>().unwrap()
    };
    let pairs = f64s(a).into_iter().zip(f64s(b));
    pairs.map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f64::max)
}

fn supported() -> impl Iterator<Item = Case> {
    cases().into_iter().filter(|case| case.field("predictions").is_string())
}

fn weights(model: &Model) -> Vec<Tensor> {
    model.network().unwrap().get_weights().unwrap()
}

fn variables(model: &Model) -> Vec<Tensor> {
    let state = model.compiled().ok().and_then(|c| c.optimizer_state());
    state.map_or(Vec::new(), |s| s.variables().unwrap().into_iter().map(|(_, v)| v).collect())
}

fn same(name: &str, what: &str, ours: &[Tensor], keras: Vec<Option<Tensor>>, tolerance: f64) {
    assert_eq!(ours.len(), keras.len(), "{name}: {what}");
    for (index, (ours, keras)) in ours.iter().zip(keras).enumerate() {
        let distance = distance(ours, &keras.unwrap());
        assert!(distance < tolerance, "{name}: {what} {index} differ by {distance}");
    }
}

#[test]
fn predictions_are_keras_s() {
    let mut count = 0;
    let each =
        devices().into_iter().flat_map(|device| supported().map(move |c| (device.clone(), c)));
    for (device, case) in each {
        let options = LoadOptions::new().device(&device).compile(false);
        let model = Model::load_with(file(&case, "file"), options).unwrap();
        let y = model.predict(&npy(&case, "x")).unwrap();
        let distance = distance(&y, &npy(&case, "predictions"));
        assert!(distance < 1e-5, "{}: {distance}", case.name());
        count += 1;
    }
    assert!(count >= 15, "{count} files");
}

#[test]
fn training_goes_on_as_in_keras() {
    let each =
        devices().into_iter().flat_map(|device| supported().map(move |c| (device.clone(), c)));
    for (device, case) in each {
        let name = case.name();
        let options = LoadOptions::new().device(&device);
        let mut model = Model::load_with(file(&case, "file"), options).unwrap();
        if model.compiled().is_err() || case.field("fit").is_null() {
            continue;
        }
        same(
            name,
            "loaded optimizer variables",
            &variables(&model),
            case.tensors("optimizer_variables"),
            1e-12,
        );
        let fit = case.field("fit");
        let number = |key: &str| fit[key].as_u64().unwrap() as usize;
        let fit = Fit::new(number("epochs"), number("batch_size"))
            .shuffle(false)
            .verbose(Verbose::Silent);
        let (x, y) = (npy(&case, "x"), npy(&case, "y"));
        let scores = model.evaluate(&x, &y).unwrap();
        for (key, value) in case.field("evaluate").as_object().unwrap() {
            let ours = scores.get(key).unwrap_or(f64::NAN);
            assert!((ours - value.as_f64().unwrap()).abs() < 1e-5, "{name}: {key} {ours} {value}");
        }
        let history = model.fit_with(&x, &y, fit).unwrap();
        for (key, values) in case.field("history").as_object().unwrap() {
            let ours = history.get(key);
            for (ours, keras) in ours.iter().zip(values.as_array().unwrap()) {
                let keras = keras.as_f64().unwrap();
                assert!(
                    (ours - keras).abs() < 2e-5 * keras.abs().max(1.0),
                    "{name}: {key} {ours} {keras}"
                );
            }
            assert_eq!(ours.len(), values.as_array().unwrap().len(), "{name}: {key}");
        }
        // Keras takes the bias corrections of Adam in float32: parts in 10^5 of an update.
        same(name, "final weights", &weights(&model), case.tensors("final"), 1e-4);
        same(
            name,
            "final optimizer variables",
            &variables(&model),
            case.tensors("final_optimizer_variables"),
            1e-4,
        );
    }
}

/// Written and read again nothing is lost, and a copy trains on to the same bits.
#[test]
fn a_round_trip_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for case in supported() {
        let name = case.name();
        let path = folder.path().join(format!("{name}.keras"));
        let mut model = Model::load(file(&case, "file")).unwrap();
        model.save(&path).unwrap();
        let mut copy = Model::load(&path).unwrap();
        assert_eq!(model.to_json().unwrap(), copy.to_json().unwrap(), "{name}");
        let exact = |a: Vec<Tensor>, b: Vec<Tensor>| {
            same(name, "copies", &a, b.into_iter().map(Some).collect(), f64::MIN_POSITIVE);
        };
        exact(weights(&model), weights(&copy));
        exact(variables(&model), variables(&copy));
        if model.compiled().is_ok() && case.field("y").is_string() {
            let (x, y) = (npy(&case, "x"), npy(&case, "y"));
            for model in [&mut model, &mut copy] {
                model.fit_with(&x, &y, Fit::new(2, 16).verbose(Verbose::Silent)).unwrap();
            }
            exact(weights(&model), weights(&copy));
        }
    }
}

/// Keras's file of weights holds what the archive of the same model holds.
#[test]
fn weights_come_from_keras_s_file_of_weights() {
    let load = || {
        Model::load_with(golden::path("saving/float32.keras"), LoadOptions::new().compile(false))
    };
    let (expected, mut model) = (weights(&load().unwrap()), load().unwrap());
    let zeros: Vec<Tensor> = expected.iter().map(|w| w.zeros_like().unwrap()).collect();
    model.network().unwrap().set_weights(&zeros).unwrap();
    model.load_weights(golden::path("saving/float32.weights.h5")).unwrap();
    let expected = expected.into_iter().map(Some).collect();
    same("float32", "weights", &weights(&model), expected, f64::MIN_POSITIVE);
}

/// Keras opens the file, predicts what we predict, and trains on.
fn keras_takes_it(python: &str, name: &str, model: &Model, x: &[Tensor], y: &[Tensor]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.keras");
    model.save(&path).unwrap();
    let write = |role: &str, arrays: &[Tensor]| -> Vec<PathBuf> {
        let file = |(index, array): (usize, &Tensor)| {
            let file = folder.path().join(format!("{role}{index}.npy"));
            sconce::data::write_npy(&file, array).unwrap();
            file
        };
        arrays.iter().enumerate().map(file).collect()
    };
    let predictions = model.predict_all(x, 16).unwrap();
    let output = Command::new(python)
        .arg(golden::path("check_with_keras.py"))
        .arg(&path)
        .arg("--x")
        .args(write("x", x))
        .arg("--expect")
        .args(write("predictions", &predictions))
        .arg("--train")
        .args(write("y", y))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{name}: {text}");
}

#[test]
fn keras_opens_what_we_write() {
    let Some(python) = python() else { return };
    for case in supported().filter(|c| ["adam", "functional", "every_layer"].contains(&c.name())) {
        let mut model = Model::load(file(&case, "file")).unwrap();
        let (x, y) = (npy(&case, "x"), npy(&case, "y"));
        model.fit_with(&x, &y, Fit::new(1, 16).verbose(Verbose::Silent)).unwrap();
        keras_takes_it(python, case.name(), &model, &[x], &[y]);
    }
}

/// Models of several inputs and outputs too, with the losses, weights and metrics of each.
#[test]
fn keras_opens_models_of_several_outputs() {
    let Some(python) = python() else { return };
    let names = [
        "loss/none",
        "loss_weights/by_name",
        "loss/ctc",
        "metrics/lists",
        "metrics/losses",
        "metrics/intersections",
        "sample_weight/list",
        "model/shared",
        "normalization/batch",
        "siamese",
        "merged",
        "images",
        "steps",
        "encoder",
        "gpt",
        "gpt/embeddings",
        "encoder/words",
        "masks/computed",
        "forecaster",
        "lora",
        "unet",
        "frames",
        "spectral",
        "autoencoder",
        "grouped",
        "compared",
    ];
    let mut count = 0;
    let groups = [
        "functional_training",
        "layer_training",
        "sequence_training",
        "attention_training",
        "image_models_training",
    ];
    for case in groups.into_iter().flat_map(golden::load) {
        if !names.contains(&case.name()) {
            continue;
        }
        let some = |role: &str| case.tensors(role).into_iter().flatten().collect::<Vec<_>>();
        let mut model = Model::from_json(&case.config().to_string()).unwrap();
        let compile = Compile::from_json(case.field("compile_config")).unwrap();
        model.compile_with(compile).unwrap();
        let (x, y) = (some("x"), some("y"));
        model.fit_with(&x, &y, Fit::new(1, 16).verbose(Verbose::Silent)).unwrap();
        keras_takes_it(python, case.name(), &model, &x, &y);
        count += 1;
    }
    assert_eq!(count, names.len());
}

#[test]
fn what_is_not_supported_is_listed_completely() {
    let mut count = 0;
    for case in cases() {
        let Some(contains) = case.field("contains").as_array() else { continue };
        // Models as layers are supported; what is in them is looked at too.
        let is_supported = |layer: &&serde_json::Value| {
            let class = layer["class_name"].as_str().unwrap();
            class == "Sequential" || Layers::find(class).is_some()
        };
        // Ftrl, Poisson and AUC of a compile state are supported, too.
        if contains.iter().all(|layer| is_supported(&layer)) {
            Model::load(file(&case, "file")).unwrap();
            continue;
        }
        let Err(error) = Model::load(file(&case, "file")) else {
            panic!("{} loads", case.name());
        };
        let message = error.to_string();
        for layer in contains.iter().filter(|layer| !is_supported(layer)) {
            let name = layer["path"].as_str().unwrap().rsplit('/').next().unwrap();
            assert!(message.contains(name), "{}: {name} is not in: {message}", case.name());
        }
        count += 1;
    }
    assert!(count >= 2, "{count} files");
}
