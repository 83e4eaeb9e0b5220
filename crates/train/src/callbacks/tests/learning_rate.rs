//! Callbacks that change the learning rate.

use super::*;
use crate::optimizers::{MultiOptimizer, OptimizerExt, OptimizerMap, SGD};

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
fn learning_rates_of_callbacks_are_logged() {
    let mut model = model();
    let scheduler =
        LearningRateScheduler::new(|epoch, rate| if epoch == 0 { 0.5 } else { rate / 2.0 });
    let stopping = EarlyStopping::new("learning_rate").mode(Mode::Min).patience(1);
    let history = fit(&mut model, Fit::new(3, 4).callback(scheduler).callback(stopping)).unwrap();
    assert_eq!(history.get("learning_rate"), [0.5, 0.25, 0.125]);
    let schedule = crate::schedules::CosineDecay::new(0.1, 10);
    model.compile(SGD::new(schedule), "mse").unwrap();
    for callback in [
        Box::new(LearningRateScheduler::new(|_, rate| rate)) as Box<dyn Callback>,
        Box::new(ReduceLROnPlateau::new()),
    ] {
        let error = fit(&mut model, Fit::new(1, 4).callbacks([callback])).unwrap_err().to_string();
        assert!(error.contains("the learning rate is a schedule and cannot be set"), "{error}");
    }
}
