//! The order of events, ends of runs, and what is found before them.

use super::*;
use serde_json::json;

#[test]
fn events_come_in_order() {
    let seen = Arc::default();
    fit(&mut model(), Fit::new(1, 4).callback(recorder(&seen))).unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "train_begin",
            "epoch_begin 0",
            "batch_begin 0",
            "batch_end 0 loss",
            "batch_begin 1",
            "batch_end 1 loss",
            "test_begin",
            "test_end loss",
            "epoch_end 0 loss,val_loss",
            "train_end Finished",
        ]
    );
}

#[test]
fn a_stop_in_a_batch_still_validates_and_ends_the_epoch() {
    let seen = Arc::default();
    let stop = LambdaCallback::new().on_train_batch_end(|_, _| Ok(Flow::Stop("enough".into())));
    let history =
        fit(&mut model(), Fit::new(9, 4).callback(stop).callback(recorder(&seen))).unwrap();
    assert_eq!((history.epoch, history.history.len()), (vec![0], 2));
    let seen = seen.lock().unwrap();
    assert_eq!(
        seen[seen.len() - 2..],
        ["epoch_end 0 loss,val_loss", "train_end Stopped(\"enough\")"]
    );
    assert!(!seen.contains(&"batch_begin 1".to_string()));
}

#[test]
fn terminate_on_nan_is_keras_s() {
    for (case, mut callback) in cases("TerminateOnNaN") {
        let mut model = model();
        let logged = logged();
        let batch_of_none = sconce_data::Batch::default();
        for (batch, loss) in case["losses"].as_array().unwrap().iter().enumerate() {
            let loss = loss.as_f64().or_else(|| loss.as_str()?.parse().ok()).unwrap();
            let value = Tensor::new(loss as f32, &sconce_core::Device::Cpu).unwrap();
            model.compiled_mut().unwrap().reset_metrics();
            model.compiled_mut().unwrap().update_metrics(&value, &[], &batch_of_none, &[]).unwrap();
            let mut run = Run { model: &mut model, epochs: 1, steps: None, logged: &logged };
            let ended = callback.on(&Event::BatchEnd { batch }, &mut run);
            let is_here = |key: &str| case[key].as_u64() == Some(batch as u64);
            assert_eq!(ended.is_err(), is_here("raised"), "{case}");
            let stopped = matches!(ended, Ok(Flow::Stop(_)));
            assert_eq!(stopped, is_here("stopped"), "{case}");
            if stopped || ended.is_err() {
                break;
            }
        }
    }
}

#[test]
fn what_cannot_work_is_found_before_training() {
    let message = |callback: Box<dyn Callback>| {
        let mut model = model();
        let run = Fit::new(1, 4).callback(LambdaCallback::new()).callbacks([callback]);
        let error = fit(&mut model, run).unwrap_err().to_string();
        assert_eq!(weight(&model), weight(&self::model()), "nothing was trained");
        error
    };
    let watching: [Box<dyn Callback>; 3] = [
        Box::new(EarlyStopping::new("val_lose")),
        Box::new(ReduceLROnPlateau::new().monitor("val_lose")),
        Box::new(ModelCheckpoint::new("a.keras").monitor("val_lose").save_best_only(true)),
    ];
    for callback in watching {
        let name = callback.name();
        let error = message(callback);
        let expected = "at `callbacks[1].config.monitor`: `val_lose` is not logged. Did you mean \
                        `val_loss`? Logged: loss, val_loss";
        assert!(error.starts_with(expected), "{name}: {error}");
    }

    let dir = tempfile::tempdir().unwrap();
    let run = Fit::new(1, 4).callback(CSVLogger::new(dir.path()));
    let error = fit(&mut model(), run).unwrap_err().to_string();
    assert!(error.contains("is a folder"), "{error}");
}

#[test]
fn configurations_are_keras_s() {
    let part = |config: Json| CallbackPart::from_json(&config);
    let config = json!({"class_name": "EarlyStopping", "config": {"patience": 3}});
    let written = part(config).unwrap().to_json().unwrap();
    assert_eq!(
        written["config"],
        json!({
            "monitor": "val_loss", "min_delta": 0.0, "patience": 3, "verbose": 0, "mode": "auto",
            "baseline": null, "restore_best_weights": false, "start_from_epoch": 0,
        })
    );
    let wrong = |config: Json| part(config).map(drop).unwrap_err().to_string();
    let error = wrong(json!({"class_name": "EarlyStopping", "config": {"patince": 3}}));
    assert!(
        error.contains("`config.patince`") && error.contains("Did you mean `patience`"),
        "{error}"
    );
    let error = wrong(json!({"class_name": "EarlyStoping"}));
    assert!(
        error.contains("unknown callback `EarlyStoping`. Did you mean `EarlyStopping`"),
        "{error}"
    );
    let error =
        wrong(json!({"class_name": "CSVLogger", "config": {"filename": "a", "separator": "--"}}));
    assert!(error.contains("config.separator") && error.contains("one ASCII character"), "{error}");
    let error = wrong(json!({"class_name": "EarlyStopping", "config": {"mode": "mxa"}}));
    assert!(error.contains("config.mode") && error.contains("Did you mean `max`"), "{error}");
}
