//! Runs that were lost and go on.

use super::*;
use crate::CancelToken;
use crate::callbacks::Event;
use sconce_core::{DType, Error};
use sconce_data::sources::{ArraySpec, Batch, BatchSource, Prefetch, SourceSpec, from_fn};
use sconce_layers::SimpleRNN;
use sconce_testkit::devices;

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
