//! Callbacks compared with Keras's own (tests/golden/callbacks.json), and in real runs. This file is what
//! the others share: a model of one weight, the golden cases, a recorder of events.

mod csv_logger;
mod early_stopping;
mod events;
mod learning_rate;
mod model_checkpoint;
mod remote_monitor;
mod swap_ema_weights;

use super::*;
use crate::{Compile, Fit, Sequential};
use ndarray::{Array1, Array2};
use sconce_core::registry::object;
use sconce_layers::{Dense, LayerExt};
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
