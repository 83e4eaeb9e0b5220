//! What callbacks remember.

use super::*;
use crate::callbacks::{LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau};

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

/// A rate that a function of the epoch and of the rate before sets, and one that is lowered where nothing
/// improves.
#[test]
fn learning_rates_that_callbacks_set_go_on() {
    let fit = || {
        let halved =
            LearningRateScheduler::new(|epoch, rate| if epoch < 2 { rate } else { rate / 2.0 });
        let lowered = ReduceLROnPlateau::new().monitor("val_accuracy").patience(1).factor(0.7);
        fit().callback(halved).callback(lowered)
    };
    let mut whole = model(Adam::new(0.05));
    let expected = train(&mut whole, fit()).unwrap();
    let rates = expected.get("learning_rate");
    assert!(rates.last() < rates.first(), "{rates:?}");
    for lost in [4, 5, 11, 12, 14] {
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = || Checkpoint::new(dir.path()).every_steps(1);
        let first = fit().checkpoint(checkpoint()).callback(failing(lost));
        train(&mut model(Adam::new(0.05)), first).unwrap_err();
        let mut rest = model(Adam::new(0.05));
        let history = train(&mut rest, fit().checkpoint(checkpoint()).resume(true)).unwrap();
        assert_eq!((text(&history), weights(&rest)), (text(&expected), weights(&whole)), "{lost}");
    }
}
