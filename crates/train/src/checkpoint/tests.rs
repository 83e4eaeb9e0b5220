//! Runs that go on from checkpoints, within one process; the command's tests kill processes.

use super::{Checkpoint, OnFailure, file};
use crate::callbacks::{EarlyStopping, Event, Flow, LambdaCallback, ModelCheckpoint};
use crate::optimizers::{Adam, Optimizer, OptimizerExt, SGD};
use crate::schedules::CosineDecay;
use crate::{CancelToken, Compile, Fit, History, Sequential, Verbose};
use sconce_core::{DType, Device, Error, Result, Stream, Tensor};
use sconce_data::sources::{ArraySpec, Batch, BatchSource, Prefetch, SourceSpec, from_fn};
use sconce_layers::{BatchNormalization, Dense, Dropout, LayerExt, SimpleRNN};
use sconce_testkit::devices;
use std::path::Path;

const ROWS: usize = 50;
const EPOCHS: usize = 6;
const BATCH: usize = 8;

fn data() -> (Tensor, Tensor) {
    let mut stream = Stream::named(7, "data");
    let x: Vec<f32> = (0..ROWS * 4).map(|_| stream.normal() as f32).collect();
    let y: Vec<i64> = x.chunks(4).map(|row| i64::from(row[0] + row[1] > 0.0)).collect();
    let x = Tensor::from_vec(x, (ROWS, 4), &Device::Cpu).unwrap();
    (x, Tensor::from_vec(y, ROWS, &Device::Cpu).unwrap())
}

fn model(optimizer: impl Into<Optimizer>) -> Sequential {
    model_on(&Device::Cpu, optimizer)
}

fn model_on(device: &Device, optimizer: impl Into<Optimizer>) -> Sequential {
    let mut model = Sequential::new()
        .device(device)
        .add(Dense::new(8).activation("relu"))
        .add(BatchNormalization::new())
        .add(Dropout::new(0.3))
        .add(Dense::new(2).activation("softmax"));
    let compile = Compile::new(optimizer, "sparse_categorical_crossentropy");
    model.compile_with(compile.metrics(["accuracy"])).unwrap();
    model
}

/// Momentum, a schedule, averaged weights and accumulated gradients.
fn sgd() -> Optimizer {
    SGD::new(CosineDecay::new(0.2, 30))
        .momentum(0.9)
        .use_ema(0.8)
        .gradient_accumulation_steps(3)
        .into()
}

fn fit() -> Fit {
    let stopping = EarlyStopping::new("val_loss").patience(3).restore_best_weights(true);
    Fit::new(EPOCHS, BATCH)
        .seed(11)
        .validation_split(0.2)
        .callback(stopping)
        .verbose(Verbose::Silent)
}

fn weights(model: &Sequential) -> Vec<Vec<u32>> {
    let weights = model.network().unwrap().get_weights().unwrap();
    let bits = |w: &Tensor| -> Vec<u32> {
        let values = w.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    weights.iter().map(bits).collect()
}

fn train(model: &mut Sequential, fit: Fit) -> Result<History> {
    let (x, y) = data();
    model.fit_with(&x, &y, fit)
}

/// Fails before batch `at` of the run.
fn failing(at: usize) -> LambdaCallback {
    let mut seen = 0;
    LambdaCallback::new().on_train_batch_begin(move |_, _| {
        seen += 1;
        match seen > at {
            true => Err(sconce_core::Error::training("lost power")),
            false => Ok(Flow::Continue),
        }
    })
}

fn text(history: &History) -> String {
    let mut history = history.clone();
    history.run = None;
    serde_json::to_string(&history).unwrap()
}

/// Weights, history and optimizer variables are those of the run that was not interrupted, wherever it
/// was lost and however often, on every device.
#[test]
fn a_run_that_goes_on_ends_with_the_same_bits() {
    let optimizers = || [sgd(), Adam::new(0.05).into()];
    let each = devices().into_iter().flat_map(|device| optimizers().map(|o| (device.clone(), o)));
    for (device, optimizer) in each {
        let model = |optimizer: Optimizer| model_on(&device, optimizer);
        let mut whole = model(optimizer.clone());
        let expected = train(&mut whole, fit()).unwrap();
        assert!(expected.epoch.len() > 2);
        for every in [1, 2, 5] {
            for lost in [0, 1, 4, 5, 9, 13] {
                let dir = tempfile::tempdir().unwrap();
                let checkpoint = || Checkpoint::new(dir.path().join("c")).every_steps(every);
                let mut tries = 0;
                let (model, history) = loop {
                    let mut model = model(optimizer.clone());
                    let mut fit = fit().checkpoint(checkpoint()).resume(tries > 0);
                    if tries < 3 {
                        fit = fit.callback(failing(lost));
                    }
                    tries += 1;
                    match train(&mut model, fit) {
                        Ok(history) => break (model, history),
                        Err(error) => assert!(error.to_string().contains("lost power"), "{error}"),
                    }
                };
                assert_eq!(text(&history), text(&expected), "{every} {lost}");
                assert_eq!(weights(&model), weights(&whole), "{every} {lost}");
                let best = |history: &History| history.best("val_accuracy");
                assert_eq!(best(&history), best(&expected));
                assert!(file::list(&dir.path().join("c")).unwrap().len() <= 2);
            }
        }
    }
}

/// A token that is used within an epoch leaves a checkpoint of that very batch.
#[test]
fn a_cancelled_run_goes_on_where_it_was_cancelled() {
    let mut whole = model(sgd());
    let expected = train(&mut whole, fit()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let token = CancelToken::new();
    let cancel = token.clone();
    let mut seen = 0;
    let cancelling = LambdaCallback::new().on_train_batch_end(move |_, _| {
        seen += 1;
        if seen == 8 {
            cancel.cancel();
        }
        Ok(Flow::Continue)
    });
    let first = fit().checkpoint(Checkpoint::new(dir.path())).callback(cancelling);
    train(&mut model(sgd()), first.cancel_token(&token)).unwrap();
    assert_eq!(file::list(dir.path()).unwrap()[0], dir.path().join("step-000000008.safetensors"));
    let mut rest = model(sgd());
    let history =
        train(&mut rest, fit().checkpoint(Checkpoint::new(dir.path())).resume(true)).unwrap();
    assert_eq!((text(&history), weights(&rest)), (text(&expected), weights(&whole)));
    // And from its end, once more, without a step.
    let mut again = model(sgd());
    let history =
        train(&mut again, fit().checkpoint(Checkpoint::new(dir.path())).resume(true)).unwrap();
    assert_eq!((text(&history), weights(&again)), (text(&expected), weights(&whole)));
}

/// A longer run goes on from the end of a shorter one.
#[test]
fn epochs_may_be_added_and_not_taken_away() {
    let plain = |epochs| Fit::new(epochs, BATCH).verbose(Verbose::Silent);
    let mut whole = model(Adam::new(0.01));
    let expected = train(&mut whole, plain(4)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let run = |epochs| {
        let mut model = model(Adam::new(0.01));
        let fit = plain(epochs).checkpoint(Checkpoint::new(dir.path())).resume(true);
        train(&mut model, fit).map(|history| (text(&history), weights(&model)))
    };
    run(2).unwrap();
    assert_eq!(run(4).unwrap(), (text(&expected), weights(&whole)));
    let error = run(3).unwrap_err().to_string();
    assert!(error.contains("it is after epoch 4, the run is to end after epoch 3"), "{error}");
}

/// Of a checkpoint that is damaged anywhere the one before it is used.
#[test]
fn a_damaged_newest_checkpoint_is_passed_over() {
    let mut whole = model(sgd());
    let expected = train(&mut whole, fit()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = || Checkpoint::new(dir.path()).every_steps(3);
    let lost = fit().checkpoint(checkpoint()).callback(failing(10));
    train(&mut model(sgd()), lost).unwrap_err();
    let kept = file::list(dir.path()).unwrap();
    let [newest, before] = kept.as_slice() else { panic!("{kept:?}") };
    let (good, older) = (std::fs::read(newest).unwrap(), std::fs::read(before).unwrap());
    let length = good.len();
    let mut damaged: Vec<Vec<u8>> =
        [0, 1, 7, 8, 9, length / 3, length / 2, length - 1].map(|to| good[..to].to_vec()).to_vec();
    for at in (0..length).step_by(length / 40).chain([length - 1]) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        damaged.push(bytes);
    }
    damaged.push([good.as_slice(), &[0]].concat());
    for bytes in damaged {
        std::fs::write(newest, bytes).unwrap();
        let mut warned = Vec::new();
        let found = file::newest(dir.path(), |line| warned.push(line)).unwrap();
        assert_eq!(found.unwrap().0, *before);
        assert!(warned.len() == 1 && warned[0].contains("step-000000009"), "{warned:?}");
        assert!(dir.path().join("step-000000009.safetensors.damaged").exists());
    }
    let mut rest = model(sgd());
    let history = train(&mut rest, fit().checkpoint(checkpoint()).resume(true)).unwrap();
    assert_eq!((text(&history), weights(&rest)), (text(&expected), weights(&whole)));
    // If none is whole, that is an error: to start over would lose the run.
    for path in file::list(dir.path()).unwrap() {
        std::fs::write(path, &older[..older.len() - 1]).unwrap();
    }
    let fit = fit().checkpoint(checkpoint()).resume(true);
    let error = train(&mut model(sgd()), fit).unwrap_err().to_string();
    assert!(error.contains("no checkpoint in this folder can be used"), "{error}");
}

#[test]
fn a_run_under_other_conditions_is_refused_with_the_difference() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = || Checkpoint::new(dir.path());
    train(&mut model(sgd()), fit().checkpoint(checkpoint())).unwrap();
    let refused = |optimizer: Optimizer, fit: Fit, expected: &str| {
        let fit = fit.checkpoint(checkpoint()).resume(true);
        let error = train(&mut model(optimizer), fit).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(sgd(), fit().batch_size(16), "`data.batch_size` is 16, in the checkpoint 8");
    refused(sgd(), fit().seed(12), "`fit.seed` is 12, in the checkpoint 11");
    refused(
        SGD::new(0.1).into(),
        fit(),
        "`compile.optimizer.config.momentum` is 0.0, in the checkpoint 0.9",
    );
    let patient = Fit::new(EPOCHS, BATCH).seed(11).validation_split(0.2).verbose(Verbose::Silent);
    let stopping = EarlyStopping::new("val_loss").patience(4).restore_best_weights(true);
    refused(
        sgd(),
        patient.callback(stopping),
        "`callbacks[0].config.patience` is 4, in the checkpoint 3",
    );
    let (x, y) = data();
    let fit = fit().checkpoint(checkpoint()).resume(true);
    let x = (x * 2.0).unwrap();
    let error = model(sgd()).fit_with(&x, &y, fit).unwrap_err().to_string();
    assert!(error.contains("the data has changed; the validation has changed"), "{error}");
    let mut other = Sequential::new().add(Dense::new(2).activation("softmax"));
    other.compile(sgd(), "sparse_categorical_crossentropy").unwrap();
    let fit = self::fit().checkpoint(checkpoint()).resume(true);
    let error = train(&mut other, fit).unwrap_err().to_string();
    assert!(error.contains("`model.config.layers` is"), "{error}");
}

/// A run that starts over leaves the checkpoints of the one before it where nothing takes them for its
/// own.
#[test]
fn a_new_run_moves_the_old_checkpoints_aside() {
    let dir = tempfile::tempdir().unwrap();
    let lost = |at, resume| {
        let checkpoint = Checkpoint::new(dir.path()).every_steps(1).keep(3);
        let fit = fit().checkpoint(checkpoint).resume(resume).callback(failing(at));
        train(&mut model(sgd()), fit).unwrap_err();
    };
    let steps = |folder: &Path| -> Vec<String> {
        let name = |path: &std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().into();
        file::list(folder).unwrap().iter().map(name).collect()
    };
    lost(9, false);
    std::fs::write(dir.path().join(".sconce-1-0.tmp"), b"half of one").unwrap();
    lost(2, false);
    assert_eq!(steps(dir.path()), ["step-000000002", "step-000000001"]);
    let previous = dir.path().join("previous");
    assert_eq!(steps(&previous), ["step-000000009", "step-000000008", "step-000000007"]);
    assert!(!dir.path().join(".sconce-1-0.tmp").exists());
}

/// Values that no JSON number stands for, and names with values, survive.
#[test]
fn callbacks_remember_what_is_not_a_number() {
    let mut memory = EarlyStopping::new("loss");
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1, -0.0] {
        let json = crate::exact::to_json(value);
        let text = serde_json::to_string(&json).unwrap();
        let back = crate::exact::from_json(&serde_json::from_str(&text).unwrap()).unwrap();
        assert!(back.to_bits() == value.to_bits() || (back.is_nan() && value.is_nan()), "{text}");
    }
    use crate::callbacks::{Callback, CallbackState};
    let values = serde_json::json!({
        "best": "NaN", "best_epoch": 1, "wait": 2, "stopped_epoch": null
    });
    memory.restore(CallbackState { values, tensors: Vec::new() }).unwrap();
    assert!(memory.best().unwrap().is_nan());
    assert_eq!(memory.state().unwrap().values["best"], "NaN");
}

/// A folder that cannot be written is an error before the first step; one that becomes so while the run
/// is on, a warning or an error, as configured.
#[test]
fn a_checkpoint_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), b"").unwrap();
    let inside = Checkpoint::new(dir.path().join("file/c"));
    let error = train(&mut model(sgd()), fit().checkpoint(inside)).unwrap_err().to_string();
    assert!(error.contains("cannot be written"), "{error}");

    // Files in the way of the second one's name, which no user, root neither, can write over.
    let blocked = |on_failure| {
        let folder = dir.path().join("c");
        let _ = std::fs::remove_dir_all(&folder);
        let name = file::path_of(&folder, 10);
        let checkpoint = Checkpoint::new(&folder).every_steps(5).on_failure(on_failure);
        let block = LambdaCallback::new().on_train_begin(move |_| {
            std::fs::create_dir_all(&name).unwrap();
            Ok(Flow::Continue)
        });
        let mut model = model(sgd());
        let run = train(&mut model, fit().checkpoint(checkpoint).callback(block));
        (run, weights(&model), folder)
    };
    let (run, bits, _) = blocked(OnFailure::Continue);
    let mut whole = model(sgd());
    let expected = train(&mut whole, fit()).unwrap();
    assert_eq!((text(&run.unwrap()), bits), (text(&expected), weights(&whole)));
    let (run, _, folder) = blocked(OnFailure::Stop);
    let error = run.unwrap_err().to_string();
    assert!(error.contains("step-000000010"), "{error}");
    assert!(file::CheckpointFile::read(&file::path_of(&folder, 5)).is_ok());
}

#[test]
fn a_resumed_epoch_is_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = || Checkpoint::new(dir.path()).every_steps(3);
    train(&mut model(sgd()), fit().checkpoint(checkpoint()).callback(failing(7))).unwrap_err();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    struct Events(std::sync::Arc<std::sync::Mutex<Vec<String>>>);
    impl crate::Callback for Events {
        fn name(&self) -> &'static str {
            "Events"
        }
        fn on(&mut self, event: &Event, _: &mut crate::Run<'_>) -> Result<Flow> {
            self.0.lock().unwrap().push(format!("{event:?}"));
            Ok(Flow::Continue)
        }
    }
    let fit = fit().checkpoint(checkpoint()).resume(true).callback(Events(seen.clone()));
    train(&mut model(sgd()), fit).unwrap();
    let seen = seen.lock().unwrap();
    let expected = ["TrainBegin", "Resumed { epoch: 1, batch: 1 }", "BatchBegin { batch: 1 }"];
    assert_eq!(seen[..3], expected);
}

/// Keras's names of files go on counting.
#[test]
fn model_checkpoints_by_batch_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let run = |folder: &str, lost: Option<usize>| {
        let name = dir.path().join(folder).join("{epoch}-{batch}-{loss:.9f}.keras");
        let saving = ModelCheckpoint::new(name.to_str().unwrap())
            .save_freq(crate::callbacks::SaveFreq::Batches(4));
        let checkpoint = Checkpoint::new(dir.path().join("c")).every_steps(3);
        let mut fit = fit().callback(saving).checkpoint(checkpoint).resume(folder == "second");
        if let Some(at) = lost {
            fit = fit.callback(failing(at));
        }
        train(&mut model(sgd()), fit).is_ok()
    };
    let names = |folder: &str| {
        let entries = std::fs::read_dir(dir.path().join(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert!(run("whole", None));
    assert!(!run("first", Some(10)) && run("second", None));
    let mut both = [names("first"), names("second")].concat();
    both.sort();
    assert_eq!(both, names("whole"));
}

/// States that last from batch to batch are in no file of a model, and in a checkpoint all the same.
#[test]
fn states_of_recurrent_layers_go_on() {
    let x = Tensor::arange(0f32, 96.0, &Device::Cpu).unwrap().affine(0.01, 0.0).unwrap();
    let x = x.reshape((32, 3, 1)).unwrap();
    let y = x.sum(1).unwrap();
    let run = |folder: Option<(&Path, bool)>, lost: Option<usize>| {
        let mut model = Sequential::new()
            .add(SimpleRNN::new(4).stateful(true).input_shape([3, 1]))
            .add(Dense::new(1));
        model.compile(Adam::new(0.01), "mse").unwrap();
        let mut fit = Fit::new(2, 4).shuffle(false).verbose(Verbose::Silent);
        if let Some((folder, resume)) = folder {
            fit = fit.checkpoint(Checkpoint::new(folder).every_steps(3)).resume(resume);
        }
        if let Some(at) = lost {
            fit = fit.callback(failing(at));
        }
        model.fit_with(&x, &y, fit).map(|history| (text(&history), weights(&model)))
    };
    let expected = run(None, None).unwrap();
    for lost in [5, 11] {
        let dir = tempfile::tempdir().unwrap();
        run(Some((dir.path(), false)), Some(lost)).unwrap_err();
        assert_eq!(run(Some((dir.path(), true)), None).unwrap(), expected);
    }
}

/// A source that cannot be read at one batch in the middle of an epoch, as a file on a disk that fails.
#[test]
fn a_source_that_fails_names_the_place_and_the_run_goes_on_from_the_checkpoint_before() {
    const STEPS: usize = 6;
    let source = |fails: bool| {
        let spec = SourceSpec {
            x: vec![ArraySpec::new(&[4], DType::F32)],
            y: vec![ArraySpec::new(&[], DType::I64)],
            sample_weight: Vec::new(),
        };
        from_fn(spec, Some(STEPS), move |epoch, from| {
            let (x, y) = data();
            Ok((from..STEPS).map(move |batch| {
                if fails && (epoch, batch) == (2, 3) {
                    return Err(Error::data("input/output error"));
                }
                let rows = |array: &Tensor| array.narrow(0, (batch + epoch) % STEPS * BATCH, BATCH);
                Ok(Batch { x: vec![rows(&x)?], y: vec![rows(&y)?], sample_weight: Vec::new() })
            }))
        })
    };
    let fit = || Fit::new(EPOCHS, BATCH).seed(11).verbose(Verbose::Silent);
    let mut whole = model(sgd());
    let expected = whole.fit_source(&source(false), fit()).unwrap();
    for prefetched in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = || Checkpoint::new(dir.path()).every_steps(2);
        let failing = match prefetched {
            false => Box::new(source(true)) as Box<dyn BatchSource>,
            true => Box::new(Prefetch::new(source(true), 3)),
        };
        let error = model(sgd()).fit_source(&failing, fit().checkpoint(checkpoint())).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("batch 4 of epoch 3: input/output error"), "{error}");
        let newest = &file::list(dir.path()).unwrap()[0];
        assert_eq!(newest, &dir.path().join("step-000000014.safetensors"));
        let mut rest = model(sgd());
        let fit = fit().checkpoint(checkpoint()).resume(true);
        let history = rest.fit_source(&source(false), fit).unwrap();
        assert_eq!(text(&history), text(&expected));
        assert_eq!(weights(&rest), weights(&whole));
    }
}
