//! rustyml 0.17, by `fit_with_batches`, with its own defaults for threads.
//!
//! It clips by the global norm only, so one norm over all gradients stands for Keras's one a weight.

use crate::workloads::{Timing, Workload};
use rustyml::neural_network::layers::{Activation, Dense};
use rustyml::neural_network::losses::SparseCategoricalCrossEntropy;
use rustyml::neural_network::optimizers::{Adam, SGD};
use rustyml::neural_network::{Shape, sequential::SequentialBuilder};
use std::error::Error;
use std::time::Instant;

/// Trains once: a fit of one epoch at a time, each timed.
pub fn train(workload: Workload) -> Result<Timing, Box<dyn Error>> {
    let hidden = workload.hidden();
    if hidden.is_empty() {
        return Err(format!("takes no part in {}", workload.name()).into());
    }
    let (_, features, batch) = workload.sizes();
    let (x, y) = workload.data();
    let x = x.into_dyn();
    let y = y.mapv(|label| label as f32).insert_axis(ndarray::Axis(1)).into_dyn();

    let mut layers = SequentialBuilder::new_with_seed(0);
    for units in hidden {
        layers = layers.add(Dense::new(*units, Activation::ReLU)?);
    }
    let mut model =
        layers.add(Dense::new(10, Activation::Linear)?).build(&Shape::known(&[batch, features]))?;
    let loss = SparseCategoricalCrossEntropy::new(true);
    match workload {
        Workload::Seed => {
            model.compile(SGD::new(0.01, 0.0, false, 0.0)?.with_global_clipnorm(1.0)?, loss);
        }
        _ => {
            model.compile(Adam::new(0.001, 0.9, 0.999, 1e-7, 0.0)?, loss);
        }
    }

    let mut epochs = Vec::new();
    for _ in 0..workload.epochs() {
        let start = Instant::now();
        model.fit_with_batches(&x, &y, 1, batch)?;
        epochs.push(start.elapsed().as_secs_f64());
    }
    Ok(Timing::of(epochs, workload.steps()))
}
