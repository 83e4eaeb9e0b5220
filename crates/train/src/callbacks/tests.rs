//! Callbacks compared with Keras's own (tests/golden/callbacks.json), and in real runs.

use super::*;
use crate::optimizers::{MultiOptimizer, OptimizerExt, OptimizerMap, SGD};
use crate::{CancelToken, Compile, Fit, Sequential};
use ndarray::{Array1, Array2};
use sconce_core::registry::object;
use sconce_layers::{Dense, LayerExt};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// A model of one weight.
fn model() -> Sequential {
    let mut model = Sequential::new().add(Dense::new(1).use_bias(false).input_shape([1]));
    model.compile_with(Compile::new("sgd", "mse")).unwrap();
    model
}

fn weight(model: &Model) -> f32 {
    model.store().unwrap().parameters()[0].var.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]
}

fn set_weight(model: &Model, value: f32) {
    let value = Tensor::full(value, (1, 1), &sconce_core::Device::Cpu).unwrap();
    model.network().unwrap().set_weights(&[value]).unwrap();
}

fn logged() -> Logged {
    Logged(vec![("loss".into(), Some(Goal::Min))]).with_validation()
}

fn logs(value: &Json) -> Logs {
    let values = object(value.clone(), "logs").unwrap();
    Logs(values.into_iter().map(|(name, v)| (name, v.as_f64().unwrap())).collect())
}

fn golden_cases(class: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(sconce_testkit::golden::path("callbacks.json")).unwrap();
    let golden: Json = serde_json::from_str(&text).unwrap();
    let cases = golden["cases"].as_array().unwrap().iter();
    cases.filter(|case| case["name"].as_str().unwrap().starts_with(class)).cloned().collect()
}

fn cases(class: &str) -> Vec<(Json, Box<dyn Callback>)> {
    let start = |case: Json| {
        let mut config = case["config"].clone();
        if class == "CSVLogger" {
            config["filename"] = "log.csv".into();
        }
        (case, CallbackPart::new(class, config).unwrap().get().unwrap().start())
    };
    golden_cases(class).into_iter().map(start).collect()
}

/// Sends the epochs of a golden case; returns how many ran. After the epoch `interrupt`, the
/// callback is replaced by a fresh one that takes over its state.
fn drive(
    case: &Json,
    mut callback: Box<dyn Callback>,
    fresh: impl Fn() -> Box<dyn Callback>,
    interrupt: Option<usize>,
    model: &mut Model,
) -> usize {
    let logged = logged();
    let mut run = Run { model, epochs: 99, steps: Some(1), logged: &logged };
    callback.prepare(&run).unwrap();
    callback.on(&Event::TrainBegin, &mut run).unwrap();
    let mut epochs = 0;
    for (epoch, values) in case["logs"].as_array().unwrap().iter().enumerate() {
        callback.on(&Event::EpochBegin { epoch }, &mut run).unwrap();
        set_weight(run.model, epoch as f32);
        let event = Event::EpochEnd { epoch, logs: logs(values) };
        epochs += 1;
        if callback.on(&event, &mut run).unwrap() != Flow::Continue {
            break;
        }
        if interrupt == Some(epoch) {
            let state = callback.state().unwrap();
            callback = fresh();
            callback.prepare(&run).unwrap();
            callback.restore(state).unwrap();
            callback.on(&Event::TrainBegin, &mut run).unwrap();
        }
    }
    callback.on(&Event::TrainEnd { end: End::Finished }, &mut run).unwrap();
    epochs
}

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

#[test]
fn reduce_lr_on_plateau_is_keras_s() {
    for ((case, mut callback), interrupt) in cases("ReduceLROnPlateau")
        .into_iter()
        .zip([None, Some(0), Some(3), Some(7)].into_iter().cycle())
    {
        let mut model = model();
        model.set_learning_rate(0.1).unwrap();
        let logged = logged();
        let mut run = Run { model: &mut model, epochs: 99, steps: Some(1), logged: &logged };
        callback.prepare(&run).unwrap();
        let epochs = case["logs"].as_array().unwrap().iter().zip(case["rates"].as_array().unwrap());
        for (epoch, (values, rate)) in epochs.enumerate() {
            callback.on(&Event::EpochEnd { epoch, logs: logs(values) }, &mut run).unwrap();
            assert_eq!(run.model.learning_rate().unwrap(), *rate, "{} {epoch}", case["name"]);
            if interrupt == Some(epoch) {
                let state = callback.state().unwrap();
                let part = CallbackPart::new("ReduceLROnPlateau", case["config"].clone()).unwrap();
                callback = part.get().unwrap().start();
                callback.prepare(&run).unwrap();
                callback.restore(state).unwrap();
            }
        }
    }
}

/// Each optimizer's rate is changed, and logged by its name.
#[test]
fn rates_of_a_multi_optimizer_are_changed_as_keras_does() {
    for case in golden_cases("MultiOptimizer") {
        let slow = SGD::new(0.25).name("slow");
        let map = OptimizerMap::new(slow).with(".*kernel", SGD::new(0.0625).name("fast"));
        let mut model = Sequential::new().add(Dense::new(1).kernel_initializer("ones"));
        model.compile(MultiOptimizer::new(map), "mse").unwrap();
        let callback: Box<dyn Callback> = match case["callback"].as_str().unwrap() {
            "LearningRateScheduler" => Box::new(LearningRateScheduler::new(|_, rate| rate * 0.75)),
            name => {
                let part = CallbackPart::new(name, case["config"].clone()).unwrap();
                part.get().unwrap().start()
            }
        };
        let x: Vec<f32> = serde_json::from_value(case["x"].clone()).unwrap();
        let x = Tensor::from_vec(x, (6, 1), &sconce_core::Device::Cpu).unwrap();
        let fit = Fit::new(5, 2).shuffle(false).verbose(Verbose::Silent).callbacks([callback]);
        let history = model.fit_with(&x, &x.neg().unwrap(), fit).unwrap();
        let keras = case["history"].as_object().unwrap();
        assert_eq!(keras.keys().collect::<Vec<_>>(), history.history.keys().collect::<Vec<_>>());
        for (name, values) in keras {
            for (ours, keras) in history.get(name).iter().zip(values.as_array().unwrap()) {
                let keras = keras.as_f64().unwrap();
                assert!((ours - keras).abs() < 1e-6, "{name} {ours} {keras} {}", case["name"]);
            }
        }
    }
}

#[test]
fn a_schedule_inside_a_multi_optimizer_is_refused_before_the_first_step() {
    let schedule = crate::schedules::CosineDecay::new(0.2, 30);
    let map = OptimizerMap::new(SGD::new(0.1)).with(".*kernel", SGD::new(schedule));
    let mut model = Sequential::new().add(Dense::new(1));
    model.compile(MultiOptimizer::new(map), "mse").unwrap();
    let x = Tensor::ones((4, 1), sconce_core::DType::F32, &sconce_core::Device::Cpu).unwrap();
    let scheduler = LearningRateScheduler::new(|_, rate| rate);
    let fit = Fit::new(1, 4).verbose(Verbose::Silent).callback(scheduler);
    let error = model.fit_with(&x, &x, fit).unwrap_err().to_string();
    assert!(error.contains("the learning rate is a schedule and cannot be set"), "{error}");
}

#[test]
fn swap_ema_weights_is_keras_s() {
    for (case, callback) in cases("SwapEMAWeights") {
        let mut model = model();
        set_weight(&model, 1.0);
        let optimizer = crate::optimizers::SGD::new(0.25).use_ema(0.75);
        model.compile_with(Compile::new(optimizer, "mse")).unwrap();
        let x: Vec<f32> = serde_json::from_value(case["x"].clone()).unwrap();
        let x = Tensor::from_vec(x, (6, 1), &sconce_core::Device::Cpu).unwrap();
        let y = x.neg().unwrap();
        let epochs = case["epochs"].as_u64().unwrap() as usize;
        let fit = Fit::new(epochs, 2).shuffle(false).verbose(Verbose::Silent);
        let fit = fit.validation_data(&x, &y).callbacks([callback]);
        let history = model.fit_with(&x, &y, fit).unwrap();
        let close = |ours: f64, keras: &Json| {
            let keras = keras.as_f64().unwrap();
            assert!((ours - keras).abs() < 1e-6 * (1.0 + keras.abs()), "{ours} {keras} {case}");
        };
        for name in ["loss", "val_loss"] {
            let keras = case["history"][name].as_array().unwrap();
            assert_eq!(history.get(name).len(), keras.len());
            history.get(name).iter().zip(keras).for_each(|(ours, keras)| close(*ours, keras));
        }
        close(f64::from(weight(&model)), &case["weight"]);
        let optimizer = model.compiled().unwrap().optimizer_state().unwrap();
        let variables = optimizer.variables().unwrap();
        let average = variables.iter().find(|(name, _)| name.ends_with("_average")).unwrap();
        let average = average.1.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0];
        close(f64::from(average), &case["average"]);
    }
}

/// A run that is stopped between epochs ends with the averages too, where Keras's ends with the weights
/// that the swap had left in their place.
#[test]
fn swapped_weights_of_a_stopped_run_are_the_averages() {
    let run = |swap_on_epoch: bool| {
        let mut model = model();
        set_weight(&model, 1.0);
        let optimizer = crate::optimizers::SGD::new(0.25).use_ema(0.75);
        model.compile_with(Compile::new(optimizer, "mse")).unwrap();
        let stop = LambdaCallback::new().on_epoch_end(|epoch, _, _| {
            Ok(if epoch == 1 { Flow::Stop("enough".into()) } else { Flow::Continue })
        });
        let swap = SwapEMAWeights::new().swap_on_epoch(swap_on_epoch);
        fit(&mut model, Fit::new(5, 4).callback(swap).callback(stop)).unwrap();
        weight(&model)
    };
    assert_eq!(run(true), run(false));
    let error = fit(&mut model(), Fit::new(1, 4).callback(SwapEMAWeights::new())).unwrap_err();
    assert!(error.to_string().contains("set use_ema to true"), "{error}");
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
fn learning_rates_of_callbacks_are_logged() {
    let mut model = model();
    let scheduler =
        LearningRateScheduler::new(|epoch, rate| if epoch == 0 { 0.5 } else { rate / 2.0 });
    let stopping = EarlyStopping::new("learning_rate").mode(Mode::Min).patience(1);
    let history = fit(&mut model, Fit::new(3, 4).callback(scheduler).callback(stopping)).unwrap();
    assert_eq!(history.get("learning_rate"), [0.5, 0.25, 0.125]);
    let schedule = crate::schedules::CosineDecay::new(0.1, 10);
    model.compile(crate::optimizers::SGD::new(schedule), "mse").unwrap();
    for callback in [
        Box::new(LearningRateScheduler::new(|_, rate| rate)) as Box<dyn Callback>,
        Box::new(ReduceLROnPlateau::new()),
    ] {
        let error = fit(&mut model, Fit::new(1, 4).callbacks([callback])).unwrap_err().to_string();
        assert!(error.contains("the learning rate is a schedule and cannot be set"), "{error}");
    }
}

#[test]
fn csv_logger_writes_keras_s_bytes() {
    for (case, _) in cases("CSVLogger") {
        for interrupt in [None, Some(0), Some(2)] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("logs/log.csv");
            let fresh = || -> Box<dyn Callback> {
                let separator = case["config"]["separator"].as_str().unwrap();
                Box::new(CSVLogger::new(&path).separator(separator))
            };
            drive(&case, fresh(), fresh, interrupt, &mut model());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), case["bytes"].as_str().unwrap());
        }
    }
}

#[test]
fn csv_logger_appends_and_cuts_what_came_after_its_state() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.csv");
    let case = serde_json::json!({"logs": [{"loss": 1.0}, {"loss": 0.5}]});
    let logger = |append| -> Box<dyn Callback> { Box::new(CSVLogger::new(&path).append(append)) };
    drive(&case, logger(false), || logger(false), None, &mut model());
    drive(&case, logger(true), || logger(true), None, &mut model());
    let text = std::fs::read_to_string(&path).unwrap();
    let rows = "0,1.0,NA\r\n1,0.5,NA\r\n";
    assert_eq!(text, format!("epoch,loss,val_loss\r\n{rows}{rows}"));

    // A run that was killed after two rows but goes on from its state after the first.
    let logged = logged();
    let mut model = model();
    let mut run = Run { model: &mut model, epochs: 3, steps: Some(1), logged: &logged };
    let mut first = CSVLogger::new(&path);
    let end = |epoch| Event::EpochEnd { epoch, logs: Logs(vec![("loss".into(), 7.0)]) };
    first.prepare(&run).unwrap();
    first.on(&Event::TrainBegin, &mut run).unwrap();
    first.on(&end(0), &mut run).unwrap();
    let state = first.state().unwrap();
    first.on(&end(1), &mut run).unwrap();
    let mut second = CSVLogger::new(&path);
    second.prepare(&run).unwrap();
    second.restore(state.clone()).unwrap();
    second.on(&Event::TrainBegin, &mut run).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "epoch,loss,val_loss\r\n0,7.0,NA\r\n");
    second.restore(state).unwrap();
    std::fs::write(&path, "epoch").unwrap();
    let error = second.on(&Event::TrainBegin, &mut run).unwrap_err().to_string();
    assert!(error.contains("shorter (5 bytes) than this run left it"), "{error}");
}

fn data() -> (Array2<f32>, Array1<f32>) {
    (
        Array2::from_shape_fn((8, 1), |(i, _)| i as f32 / 8.0),
        Array1::from_iter((0..8).map(|i| i as f32)),
    )
}

fn fit(model: &mut Model, fit: Fit) -> Result<crate::History> {
    let (x, y) = data();
    let y = y.into_shape_with_order((8, 1)).unwrap();
    model.fit_with(&x, &y, fit.verbose(Verbose::Silent).validation_data(&x, &y))
}

fn recorder(seen: &Arc<Mutex<Vec<String>>>) -> LambdaCallback {
    let push = |seen: &Arc<Mutex<Vec<String>>>, text: String| {
        seen.lock().unwrap().push(text);
        Ok(Flow::Continue)
    };
    let [a, b, c, d, e, f, g, h] = [(); 8].map(|()| seen.clone());
    LambdaCallback::new()
        .on_train_begin(move |_| push(&a, "train_begin".into()))
        .on_epoch_begin(move |epoch, _| push(&b, format!("epoch_begin {epoch}")))
        .on_train_batch_begin(move |batch, _| push(&c, format!("batch_begin {batch}")))
        .on_train_batch_end(move |batch, run| {
            let names = run.logs()?.names().join(",");
            push(&d, format!("batch_end {batch} {names}"))
        })
        .on_test_begin(move |_| push(&e, "test_begin".into()))
        .on_test_end(move |logs, _| push(&f, format!("test_end {}", logs.names().join(","))))
        .on_epoch_end(move |epoch, logs, _| {
            push(&g, format!("epoch_end {epoch} {}", logs.names().join(",")))
        })
        .on_train_end(move |end, _| push(&h, format!("train_end {end:?}")))
}

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

/// The first epoch is the best one, by what is monitored: a loss that training only makes larger.
fn keeps_the_first_epoch() -> EarlyStopping {
    EarlyStopping::new("loss").mode(Mode::Max).patience(99).restore_best_weights(true)
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

#[test]
fn what_cannot_work_is_found_before_training() {
    let message = |callback: EarlyStopping| {
        let mut model = model();
        let error =
            fit(&mut model, Fit::new(1, 4).callback(LambdaCallback::new()).callback(callback));
        assert_eq!(weight(&model), weight(&self::model()), "nothing was trained");
        error.unwrap_err().to_string()
    };
    let error = message(EarlyStopping::new("val_lose"));
    assert!(
        error.starts_with("at `callbacks[1].config.monitor`: `val_lose` is not logged."),
        "{error}"
    );
    assert!(error.contains("Did you mean `val_loss`? Logged: loss, val_loss."), "{error}");

    let dir = tempfile::tempdir().unwrap();
    let run = Fit::new(1, 4).callback(CSVLogger::new(dir.path()));
    let error = fit(&mut model(), run).unwrap_err().to_string();
    assert!(error.contains("is a folder"), "{error}");
}

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

#[test]
fn configurations_are_keras_s() {
    let part = |config: Json| CallbackPart::from_json(&config);
    let config = serde_json::json!({"class_name": "EarlyStopping", "config": {"patience": 3}});
    let written = part(config).unwrap().to_json().unwrap();
    assert_eq!(
        written["config"],
        serde_json::json!({
            "monitor": "val_loss", "min_delta": 0.0, "patience": 3, "verbose": 0, "mode": "auto",
            "baseline": null, "restore_best_weights": false, "start_from_epoch": 0,
        })
    );
    let wrong = |config: Json| part(config).map(drop).unwrap_err().to_string();
    let error = wrong(serde_json::json!({"class_name": "EarlyStopping", "config": {"patince": 3}}));
    assert!(
        error.contains("`config.patince`") && error.contains("Did you mean `patience`"),
        "{error}"
    );
    let error = wrong(serde_json::json!({"class_name": "EarlyStoping"}));
    assert!(
        error.contains("unknown callback `EarlyStoping`. Did you mean `EarlyStopping`"),
        "{error}"
    );
    let error = wrong(
        serde_json::json!({"class_name": "CSVLogger", "config": {"filename": "a", "separator": "--"}}),
    );
    assert!(error.contains("config.separator") && error.contains("one ASCII character"), "{error}");
    let error =
        wrong(serde_json::json!({"class_name": "EarlyStopping", "config": {"mode": "mxa"}}));
    assert!(error.contains("config.mode") && error.contains("Did you mean `max`"), "{error}");
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
        assert_eq!(serde_json::json!(saved), case["saved"], "{}", case["config"]);
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

/// A server on this machine that takes the values of two epochs.
#[test]
fn remote_monitor_posts_what_keras_s_does() {
    for as_json in [false, true] {
        let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let root = format!("http://{}", server.server_addr());
        let received = std::thread::spawn(move || {
            let take = |mut request: tiny_http::Request| {
                let mut body = String::new();
                request.as_reader().read_to_string(&mut body).unwrap();
                let header = |name: &'static str| {
                    let found = request.headers().iter().find(|header| header.field.equiv(name));
                    found.map(|header| header.value.to_string()).unwrap_or_default()
                };
                let seen = (request.method().to_string(), request.url().to_string());
                let headers = (header("Content-Type"), header("X-Run"));
                request.respond(tiny_http::Response::empty(503)).unwrap();
                (seen, headers, body)
            };
            (0..2).map(|_| take(server.recv().unwrap())).collect::<Vec<_>>()
        });
        let config = json!({
            "root": root, "headers": {"X-Run": "7"}, "send_as_json": as_json, "field": "values",
        });
        let mut model = model();
        let monitor = CallbackPart::new("RemoteMonitor", config).unwrap().get().unwrap().start();
        let x = Tensor::ones((4, 1), sconce_core::DType::F32, &sconce_core::Device::Cpu).unwrap();
        let fit = Fit::new(2, 4).verbose(Verbose::Silent).callbacks([monitor]);
        // That the server refuses is no reason to end the run.
        let history = model.fit_with(&x, &x, fit).unwrap();
        for (epoch, (seen, headers, body)) in received.join().unwrap().into_iter().enumerate() {
            assert_eq!(seen, ("POST".into(), "/publish/epoch/end/".into()));
            assert_eq!(headers.1, "7");
            let values = match as_json {
                true => {
                    assert_eq!(headers.0, "application/json");
                    body
                }
                false => {
                    assert_eq!(headers.0, "application/x-www-form-urlencoded");
                    let form = body.strip_prefix("values=").unwrap_or_else(|| panic!("{body}"));
                    let decoded =
                        [("%7B", "{"), ("%7D", "}"), ("%22", "\""), ("%3A", ":"), ("%2C", ",")];
                    decoded.iter().fold(form.to_string(), |text, (code, c)| text.replace(code, c))
                }
            };
            let values: Json = serde_json::from_str(&values).unwrap();
            assert_eq!(values, json!({"epoch": epoch, "loss": history.get("loss")[epoch]}));
        }
    }
}

#[test]
fn a_server_that_is_not_there_ends_no_run_and_https_is_refused() {
    let mut model = model();
    let x = Tensor::ones((4, 1), sconce_core::DType::F32, &sconce_core::Device::Cpu).unwrap();
    let fit = |root: &str| {
        Fit::new(2, 4).verbose(Verbose::Silent).callback(RemoteMonitor::new().root(root))
    };
    assert_eq!(model.fit_with(&x, &x, fit("http://127.0.0.1:1")).unwrap().epoch, [0, 1]);
    let error = model.fit_with(&x, &x, fit("https://example.org")).unwrap_err().to_string();
    assert!(error.contains("`callbacks[0].config.root`: must begin with http://"), "{error}");
}
