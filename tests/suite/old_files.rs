//! Files of Keras 1 and 2: what they predict, what training takes them to, and that Keras 3 opens what is made
//! of them.

use sconce::data::read_npy;
use sconce::prelude::*;
use sconce::saving::LayerWeights;
use sconce::saving::{ModelFile, StoredWeights};
use sconce::train::WeightOptions;
use sconce_testkit::golden::{self, Case};
use sconce_testkit::python::python;
use std::path::{Path, PathBuf};
use std::process::Command;

fn some(tensors: Vec<Option<Tensor>>) -> Vec<Tensor> {
    tensors.into_iter().flatten().collect()
}

fn file(case: &Case) -> PathBuf {
    golden::path(case.field("file").as_str().unwrap())
}

#[track_caller]
fn close(case: &Case, what: &str, ours: &[Tensor], keras: &[Tensor], tolerance: f32) {
    assert_eq!(ours.len(), keras.len(), "{}: {what}", case.name());
    for (ours, keras) in ours.iter().zip(keras) {
        assert_eq!(ours.dims(), keras.dims(), "{}: {what}", case.name());
        let difference = (ours - keras).unwrap().abs().unwrap();
        let worst = difference.flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
        assert!(worst < tolerance, "{}: {what} differ by {worst}", case.name());
    }
}

/// Whether the file holds a model, not only weights.
fn is_whole(case: &Case) -> bool {
    case.field("weights_of").is_null()
}

fn whole_models() -> Vec<Case> {
    golden::load("old_files").into_iter().filter(is_whole).collect()
}

#[test]
fn they_predict_what_they_did_and_so_do_the_files_made_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let cases = whole_models();
    assert!(cases.len() >= 14);
    for case in cases {
        let (x, predictions) = (some(case.tensors("x")), some(case.tensors("predictions")));
        let model = Model::load_with(file(&case), LoadOptions::new().compile(false)).unwrap();
        close(&case, "predictions", &model.predict_all(&x, 8).unwrap(), &predictions, 1e-5);
        let again = folder.path().join("again.keras");
        model.save(&again).unwrap();
        let copy = Model::load(&again).unwrap();
        assert_eq!(copy.to_json().unwrap(), model.to_json().unwrap(), "{}", case.name());
        close(
            &case,
            "predictions of a copy",
            &copy.predict_all(&x, 8).unwrap(),
            &predictions,
            1e-5,
        );
        if let Some(python) = python() {
            keras_predicts(python, case.name(), &again, folder.path(), &x, &predictions);
        }
    }
}

/// The files of `tests/golden/real_files`, as people keep them but for their weights, which are random, and those of the
/// folder that `SCONCE_REAL_FILES` names: `files` and, for each, a folder of `answers` with inputs x0.npy .. and outputs
/// y0.npy .. They answer as recorded, and so do the files made of them.
#[test]
fn files_as_people_keep_them_answer_as_recorded() {
    let own = golden::path("real_files");
    let folders = [Some(own), std::env::var_os("SCONCE_REAL_FILES").map(PathBuf::from)];
    let mut seen = 0;
    for folder in folders.into_iter().flatten() {
        for entry in std::fs::read_dir(folder.join("files")).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_name().unwrap().to_str().unwrap().to_string();
            let answers = folder.join("answers").join(&name);
            let arrays = |letter: &str| -> Vec<Tensor> {
                let path = |index| answers.join(format!("{letter}{index}.npy"));
                (0..)
                    .map(path)
                    .take_while(|path| path.exists())
                    .map(|p| read_npy(p).unwrap())
                    .collect()
            };
            let (x, expected) = (arrays("x"), arrays("y"));
            assert!(!x.is_empty() && !expected.is_empty(), "{name}");
            let model = Model::load_with(&file, LoadOptions::new().compile(false)).unwrap();
            let scratch = tempfile::tempdir().unwrap();
            let again = scratch.path().join("again.keras");
            model.save(&again).unwrap();
            for (what, model) in [("the file", &model), ("a copy", &Model::load(&again).unwrap())] {
                let ours = model.predict_all(&x, 8).unwrap();
                assert_eq!(ours.len(), expected.len(), "{name}: {what}");
                for (ours, expected) in ours.iter().zip(&expected) {
                    let size =
                        expected.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                    let worst = (ours - expected).unwrap().abs().unwrap().max_all().unwrap();
                    let worst = worst.to_scalar::<f32>().unwrap();
                    assert!(worst <= 1e-3 * size, "{name}: {what} differs by {worst} of {size}");
                }
            }
            if let Some(python) = python() {
                keras_predicts(python, &name, &again, scratch.path(), &x, &expected);
            }
            seen += 1;
        }
    }
    assert!(seen >= 10);
}

/// Keras opens the file and predicts the same.
fn keras_predicts(
    python: &str,
    name: &str,
    model: &Path,
    folder: &Path,
    x: &[Tensor],
    predictions: &[Tensor],
) {
    let mut command = Command::new(python);
    command.arg(golden::path("check_with_keras.py")).arg(model);
    for (role, arrays) in [("--x", x), ("--expect", predictions)] {
        command.arg(role);
        for (index, array) in arrays.iter().enumerate() {
            let file = folder.join(format!("{}{index}.npy", role.trim_start_matches('-')));
            sconce::data::write_npy(&file, array).unwrap();
            command.arg(file);
        }
    }
    let output = command.env("KERAS_BACKEND", "jax").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {text}");
}

#[test]
fn they_train_on_with_the_optimizer_that_they_had() {
    let mut trained = 0;
    for case in whole_models().into_iter().filter(|case| case.has("y")) {
        let (mut model, report) = Model::load_with_report(file(&case), LoadOptions::new()).unwrap();
        assert_eq!(report.left_out, Vec::<String>::new(), "{}", case.name());
        let number = |key: &str| case.field("fit")[key].as_u64().unwrap() as usize;
        let fit = Fit::new(number("epochs"), number("batch_size")).shuffle(false);
        let x = some(case.tensors("x"));
        model.fit_with(&x, &case.tensor("y"), fit.verbose(Verbose::Silent)).unwrap();
        let weights = model.network().unwrap().get_weights().unwrap();
        close(&case, "weights", &weights, &some(case.tensors("final")), 2e-5);
        trained += 1;
    }
    assert!(trained >= 7);
}

#[test]
fn weights_alone_fill_the_model_beside_them() {
    let cases = golden::load("old_files").into_iter().filter(|case| !is_whole(case));
    let mut found = 0;
    for case in cases {
        let json = golden::path(case.field("weights_of").as_str().unwrap());
        let mut model = Model::from_json(&std::fs::read_to_string(json).unwrap()).unwrap();
        model.compile(SGD::new(0.1), "mse").unwrap();
        model.load_weights(file(&case)).unwrap();
        let x = some(case.tensors("x"));
        let predictions = some(case.tensors("predictions"));
        close(&case, "predictions", &model.predict_all(&x, 8).unwrap(), &predictions, 1e-5);
        found += 1;
    }
    assert_eq!(found, 2);
}

fn other_model(first: &str, units: usize) -> Model {
    let json = serde_json::json!({"class_name": "Sequential", "config": {"layers": [
        {"class_name": "InputLayer", "config": {"batch_shape": [null, 3]}},
        {"class_name": "Dense", "config": {"name": first, "units": 4}},
        {"class_name": "Dense", "config": {"name": "last", "units": units}},
    ]}});
    let mut model = Model::from_json(&json.to_string()).unwrap();
    model.compile(SGD::new(0.1), "mse").unwrap();
    model
}

#[test]
fn by_name_and_skipping_what_does_not_fit() {
    let weights = golden::path("old_files/weights_alone.h5");
    let values = |model: &Model| {
        let values = model.network().unwrap().get_weights().unwrap();
        values
            .iter()
            .map(|v| v.flatten_all().unwrap().to_vec1::<f32>().unwrap())
            .collect::<Vec<_>>()
    };
    // By order the names do not matter.
    let mut model = other_model("renamed", 2);
    model.load_weights(&weights).unwrap();
    let all = values(&model);

    let mut model = other_model("renamed", 2);
    let before = values(&model);
    let by_name = WeightOptions { by_name: true, ..Default::default() };
    assert!(model.load_weights_with(&weights, by_name).unwrap().is_empty());
    assert_eq!(values(&model)[..2], before[..2]);
    assert_eq!(values(&model)[2..], all[2..]);

    let mut model = other_model("first", 5);
    let before = values(&model);
    let error = model.load_weights(&weights).unwrap_err().to_string();
    assert!(error.contains("layer `last`") && error.contains("[4, 5]"), "{error}");
    assert_eq!(values(&model), before);
    let skip = WeightOptions { skip_mismatch: true, ..Default::default() };
    let skipped = model.load_weights_with(&weights, skip).unwrap();
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert_eq!(values(&model)[..2], all[..2]);
    assert_eq!(values(&model)[2..], before[2..]);
}

/// What the file is called says nothing.
#[test]
fn the_first_bytes_decide() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [("trained_adam.h5", "hdf5.keras"), ("trained_adam.keras", "archive.h5")] {
        let to = folder.path().join(to);
        std::fs::copy(golden::path(&format!("old_files/{from}")), &to).unwrap();
        Model::load(&to).unwrap();
    }
}

#[test]
fn a_file_says_who_wrote_it_and_what_became_of_it() {
    let load = |name: &str| {
        let file = golden::path(&format!("old_files/{name}"));
        Model::load_with_report(file, LoadOptions::new()).unwrap().1
    };
    let report = load("keras_1.h5");
    assert_eq!(report.written_by, "Keras 1.2.2 (tensorflow), HDF5");
    let changes = report.changes.join("\n");
    for change in [
        "Convolution1D is Conv1D",
        "`border_mode` of Conv1D is `padding`",
        "`p` of Dropout is `rate`",
    ] {
        assert!(changes.contains(change), "{changes}");
    }
    assert_eq!(load("nested_archive.keras").written_by, "Keras 2.15.0, a .keras archive");
    let changes = load("nested.h5").changes.join("\n");
    assert!(changes.contains("hard_sigmoid"), "{changes}");
}

/// Weights that stand in another order than the model's are refused, not exchanged.
#[test]
fn an_exchange_of_weights_is_seen() {
    let path = golden::path("old_files/nested.h5");
    let stored = ModelFile::read(&path).unwrap();
    let StoredWeights::ByLayer(mut weights) = stored.weights else { panic!("by layer") };
    let inner = weights.layers.iter_mut().find(|(name, _)| name == "inner").unwrap();
    // Names that name no layer: only the order is left, and that is of other frozen layers.
    for (name, _) in &mut inner.1 {
        *name = format!("x/{}", name.rsplit('/').next().unwrap());
    }
    let at = |kind: &str| inner.1.iter().position(|(name, _)| name.contains(kind)).unwrap();
    let (gamma, mean) = (at("gamma"), at("moving_mean"));
    inner.1.swap(gamma, mean);
    let weights = LayerWeights { keras_version: Some("2.15.0".into()), ..weights };
    let model = Model::load_with(&path, LoadOptions::new().compile(false)).unwrap();
    let network = model.network().unwrap();
    let error = sconce::saving::network::load_stored(
        network,
        &StoredWeights::ByLayer(weights),
        WeightOptions::default(),
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("the weights are in another order"), "{error}");
}
