//! EarlyStopping: as Keras's, and the best weights return however a run ends.

use super::*;
use crate::CancelToken;

#[test]
fn early_stopping_is_keras_s() {
    for ((case, callback), interrupt) in cases("EarlyStopping")
        .into_iter()
        .zip([None, Some(0), Some(3), Some(7)].into_iter().cycle())
    {
        let mut model = model();
        let fresh = || {
            let part = CallbackPart::new("EarlyStopping", case["config"].clone()).unwrap();
            part.get().unwrap().start()
        };
        let epochs = drive(&case, callback, fresh, interrupt, &mut model);
        assert_eq!(epochs, case["epochs"], "{}", case["name"]);
        assert_eq!(f64::from(weight(&model)), case["weights_of_epoch"], "{}", case["name"]);
    }
}

/// The first epoch is the best one, by what is monitored: a loss that training only makes larger.
fn keeps_the_first_epoch() -> EarlyStopping {
    EarlyStopping::new("val_loss").mode(Mode::Max).patience(99).restore_best_weights(true)
}

/// Weights after one epoch, to compare with.
fn after_one_epoch() -> f32 {
    let mut model = model();
    fit(&mut model, Fit::new(1, 4)).unwrap();
    weight(&model)
}

#[test]
fn the_best_weights_return_however_the_run_ends() {
    let expected = after_one_epoch();
    let mut finished = model();
    fit(&mut finished, Fit::new(5, 4).callback(keeps_the_first_epoch())).unwrap();
    assert_eq!(weight(&finished), expected, "finished");

    let mut cancelled = model();
    let token = CancelToken::new();
    let cancel = token.clone();
    let in_epoch_3 = LambdaCallback::new().on_epoch_begin(move |epoch, _| {
        (epoch == 3).then(|| cancel.cancel());
        Ok(Flow::Continue)
    });
    let run = Fit::new(9, 4).callback(keeps_the_first_epoch()).callback(in_epoch_3);
    let history = fit(&mut cancelled, run.cancel_token(&token)).unwrap();
    assert_eq!(history.epoch, [0, 1, 2]);
    assert_eq!(weight(&cancelled), expected, "cancelled");

    // By another callback: after an epoch, and within one.
    for within in [false, true] {
        let mut stopped = model();
        let stop = |at: usize, epoch: usize| match epoch == at {
            true => Ok(Flow::Stop("enough".into())),
            false => Ok(Flow::Continue),
        };
        let mut epoch = 0;
        let other = match within {
            false => LambdaCallback::new().on_epoch_end(move |epoch, _, _| stop(2, epoch)),
            true => LambdaCallback::new().on_train_batch_end(move |batch, _| {
                epoch += usize::from(batch == 0);
                stop(3, epoch)
            }),
        };
        let run = Fit::new(9, 4).callback(keeps_the_first_epoch()).callback(other);
        assert_eq!(fit(&mut stopped, run).unwrap().epoch, [0, 1, 2]);
        assert_eq!(weight(&stopped), expected, "stopped by another, within an epoch: {within}");
    }

    let mut failed = model();
    let fails = LambdaCallback::new()
        .on_epoch_end(|epoch, _, _| match epoch {
            2 => Err(sconce_core::Error::training("the disk is full")),
            _ => Ok(Flow::Continue),
        })
        .on_train_end(|_, _| Err(sconce_core::Error::training("still full")));
    let run = Fit::new(9, 4).callback(fails).callback(keeps_the_first_epoch());
    let error = fit(&mut failed, run).unwrap_err().to_string();
    assert_eq!(error, "the disk is full");
    assert_eq!(weight(&failed), expected, "failed");
}

#[test]
fn a_loss_that_is_not_finite_still_ends_the_run() {
    let seen = Arc::default();
    let mut model = model();
    let poison = LambdaCallback::new().on_epoch_begin(|epoch, run| {
        (epoch == 1).then(|| set_weight(run.model, f32::INFINITY));
        Ok(Flow::Continue)
    });
    let run =
        Fit::new(9, 4).callback(poison).callback(keeps_the_first_epoch()).callback(recorder(&seen));
    let error = fit(&mut model, run).unwrap_err().to_string();
    assert!(error.contains("not finite"), "{error}");
    assert!(seen.lock().unwrap().last().unwrap().starts_with("train_end Failed"));
    assert_eq!(weight(&model), after_one_epoch());
}
