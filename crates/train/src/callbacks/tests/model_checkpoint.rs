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
    let path = format!("{}/{{epoch}}-{{batch}}.safetensors", dir.path().display());
    let every_3 =
        ModelCheckpoint::new(&path).save_weights_only(true).save_freq(SaveFreq::Batches(3));
    fit(&mut model(), Fit::new(2, 2).callback(every_3)).unwrap();
    // Four batches an epoch: the third of the first, and the second of the second.
    assert_eq!(names(dir.path()), ["1-3.safetensors", "2-2.safetensors"]);

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

/// The names in a folder.
fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_last_files_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = format!("{}/{{epoch}}.keras", dir.path().display());
    let mine = dir.path().join("0.keras");
    std::fs::write(&mine, "not the run's").unwrap();
    let keep = |count: usize| ModelCheckpoint::new(&path).max_to_keep(count);
    fit(&mut model(), Fit::new(5, 4).callback(keep(2))).unwrap();
    assert_eq!(names(dir.path()), ["0.keras", "4.keras", "5.keras"]);
    // One that somebody else has removed is no error.
    let remove = dir.path().join("1.keras");
    let removing = LambdaCallback::new().on_epoch_begin(move |epoch, _| {
        if epoch == 1 {
            std::fs::remove_file(&remove).unwrap();
        }
        Ok(Flow::Continue)
    });
    fit(&mut model(), Fit::new(3, 4).callback(keep(1)).callback(removing)).unwrap();
    assert_eq!(names(dir.path()), ["0.keras", "3.keras", "4.keras", "5.keras"]);
    // A name without values is one file.
    let one = format!("{}/one.keras", dir.path().display());
    fit(&mut model(), Fit::new(3, 4).callback(ModelCheckpoint::new(&one).max_to_keep(1))).unwrap();
    assert!(std::path::Path::new(&one).exists());
    assert_eq!(std::fs::read(mine).unwrap(), b"not the run's");
    let none = fit(&mut model(), Fit::new(3, 4).callback(keep(0))).unwrap_err().to_string();
    assert!(none.contains("callbacks[0].config.max_to_keep"), "{none}");
}

#[test]
fn names_that_are_not_logged_are_refused_before_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("{}/{name}", dir.path().display());
    let message = |callback: ModelCheckpoint| {
        let mut model = model();
        let error = fit(&mut model, Fit::new(1, 4).callback(callback)).unwrap_err().to_string();
        assert_eq!(weight(&model), weight(&self::model()), "nothing was trained");
        error
    };
    for best_only in [true, false] {
        let callback = ModelCheckpoint::new(path("a.keras")).monitor("acuracy");
        let error = message(callback.save_best_only(best_only));
        assert!(
            error.contains("at `callbacks[0].config.monitor`: `acuracy` is not logged"),
            "{error}"
        );
        assert!(error.contains("Logged: loss, val_loss."), "{error}");
    }
    let error = message(ModelCheckpoint::new(path("{epoch}-{accuracy:.2f}.keras")));
    assert!(
        error.contains("at `callbacks[0].config.filepath`: unknown value `accuracy`"),
        "{error}"
    );
    assert!(error.contains("Known: epoch, loss, val_loss."), "{error}");
    // Without validation the default name matters only where it is used.
    let x = Tensor::ones((4, 1), sconce_core::DType::F32, &sconce_core::Device::Cpu).unwrap();
    let fit = |callback| Fit::new(1, 4).verbose(Verbose::Silent).callback(callback);
    model().fit_with(&x, &x, fit(ModelCheckpoint::new(path("b.keras")))).unwrap();
    let best = ModelCheckpoint::new(path("c.keras")).save_best_only(true);
    let error = model().fit_with(&x, &x, fit(best)).unwrap_err().to_string();
    assert!(error.contains("There is no validation data"), "{error}");
}
