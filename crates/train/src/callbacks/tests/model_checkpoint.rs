//! ModelCheckpoint: what is saved, under which names, and what is not.

use super::*;
use serde_json::json;

#[test]
fn a_checkpoint_that_cannot_be_written_is_found_before_training() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let path = file.join("{epoch}.keras");
    let mut model = model();
    let before = weight(&model);
    let run = Fit::new(1, 4).callback(ModelCheckpoint::new(path.to_str().unwrap()));
    let error = fit(&mut model, run).unwrap_err().to_string();
    assert!(error.contains("1.keras"), "{error}");
    assert_eq!(weight(&model), before, "nothing was trained");
}

/// A save that fails is no improvement: the value is saved when it comes again.
#[test]
fn a_failed_save_does_not_count_as_best() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let path = folder.join("best.keras");
    let mut model = model();
    let logged = logged();
    let mut callback =
        ModelCheckpoint::new(path.to_str().unwrap()).monitor("loss").save_best_only(true);
    let mut run = Run { model: &mut model, epochs: 2, steps: Some(1), logged: &logged };
    callback.prepare(&run).unwrap();
    let event = Event::EpochEnd { epoch: 0, logs: Logs(vec![("loss".into(), 1.0)]) };
    // A file where the folder was.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::write(&folder, "").unwrap();
    callback.on(&event, &mut run).unwrap_err();
    assert!(callback.state().unwrap().values["best"].is_null());
    std::fs::remove_file(&folder).unwrap();
    callback.on(&event, &mut run).unwrap();
    assert!(path.exists());
}

#[test]
fn weights_that_are_not_finite_are_not_saved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.keras");
    let (mut model, logged) = (model(), logged());
    let mut callback = ModelCheckpoint::new(path.to_str().unwrap());
    let mut run = Run { model: &mut model, epochs: 2, steps: Some(1), logged: &logged };
    callback.prepare(&run).unwrap();
    let event = Event::EpochEnd { epoch: 0, logs: Logs(vec![("loss".into(), 1.0)]) };
    callback.on(&event, &mut run).unwrap();
    let good = std::fs::read(&path).unwrap();
    set_weight(run.model, f32::NAN);
    let error = callback.on(&event, &mut run).unwrap_err().to_string();
    assert!(error.contains("weights are not finite: dense/kernel"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), good);
}

/// Which epochs are saved, and under which names. The callback is interrupted and restored on the way.
#[test]
fn model_checkpoint_saves_what_keras_saves() {
    for (index, (case, _)) in cases("ModelCheckpoint").into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = case["config"].clone();
        let name = config["filepath"].as_str().unwrap();
        config["filepath"] = format!("{}/{name}", dir.path().display()).into();
        let part = CallbackPart::new("ModelCheckpoint", config).unwrap();
        let fresh = || part.get().unwrap().start();
        let (mut model, logged) = (model(), logged());
        let mut run = Run { model: &mut model, epochs: 99, steps: Some(1), logged: &logged };
        let mut callback = fresh();
        callback.prepare(&run).unwrap();
        let mut saved = Vec::new();
        for (epoch, values) in case["logs"].as_array().unwrap().iter().enumerate() {
            callback.on(&Event::EpochBegin { epoch }, &mut run).unwrap();
            callback.on(&Event::EpochEnd { epoch, logs: logs(values) }, &mut run).unwrap();
            for entry in std::fs::read_dir(dir.path()).unwrap() {
                let path = entry.unwrap().path();
                saved.push(path.file_name().unwrap().to_str().unwrap().to_string());
                std::fs::remove_file(path).unwrap();
            }
            if epoch == index % 7 {
                let state = callback.state().unwrap();
                callback = fresh();
                callback.prepare(&run).unwrap();
                callback.restore(state).unwrap();
            }
        }
        assert_eq!(json!(saved), case["saved"], "{}", case["config"]);
    }
}

#[test]
fn model_checkpoint_saves_by_batches_and_weights() {
    let dir = tempfile::tempdir().unwrap();
    let names = || {
        let mut names: Vec<String> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let path = format!("{}/{{epoch}}-{{batch}}.safetensors", dir.path().display());
    let every_3 =
        ModelCheckpoint::new(&path).save_weights_only(true).save_freq(SaveFreq::Batches(3));
    fit(&mut model(), Fit::new(2, 2).callback(every_3)).unwrap();
    // Four batches an epoch: the third of the first, and the second of the second.
    assert_eq!(names(), ["1-3.safetensors", "2-2.safetensors"]);

    let message = |callback: ModelCheckpoint| {
        fit(&mut model(), Fit::new(1, 4).callback(callback)).unwrap_err().to_string()
    };
    let by_batch =
        ModelCheckpoint::new("a.keras").save_best_only(true).save_freq(SaveFreq::Batches(3));
    assert!(message(by_batch).contains("`val_loss` is known after an epoch only"));
    assert!(message(ModelCheckpoint::new("a.h5")).contains("must end in .keras, got `a.h5`"));
    let file = format!("{}/1-3.safetensors/a.keras", dir.path().display());
    assert!(message(ModelCheckpoint::new(&file)).contains("cannot be written"));
    // The saved weights are those of the moment.
    let mut again = model();
    again.load_weights(dir.path().join("2-2.safetensors")).unwrap();
    assert_ne!(weight(&again), weight(&model()));

    let path = format!("{}/last.weights.h5", dir.path().display());
    let mut trained = model();
    let last = ModelCheckpoint::new(&path).save_weights_only(true);
    fit(&mut trained, Fit::new(1, 2).callback(last)).unwrap();
    again.load_weights(&path).unwrap();
    assert_eq!(weight(&again), weight(&trained));
    let wrong = ModelCheckpoint::new("a.h5").save_weights_only(true);
    assert!(message(wrong).contains("must end in .weights.h5 or .safetensors, got `a.h5`"));
}
