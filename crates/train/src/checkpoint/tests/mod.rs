//! Runs that go on from checkpoints, within one process; the command's tests kill processes. This file is
//! what the others share: a run with everything that has a state.

mod callbacks;
mod conditions;
mod files;
mod resume;

use super::{Checkpoint, file};
use crate::callbacks::{EarlyStopping, Flow, LambdaCallback};
use crate::optimizers::{Adam, Optimizer, OptimizerExt, SGD};
use crate::schedules::CosineDecay;
use crate::{Compile, Fit, History, Sequential, Verbose};
use sconce_core::{Device, Result, Stream, Tensor};
use sconce_layers::{BatchNormalization, Dense, Dropout, LayerExt};
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
