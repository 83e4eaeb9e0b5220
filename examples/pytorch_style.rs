//! How do I write my own loop, as in PyTorch? Forward, loss, backward, clip, step.
//!
//!     cargo run --release --example pytorch_style

#[path = "keras_style.rs"]
mod keras_style;

use keras_style::{model, points};
use sconce::prelude::*;

/// Trains, and returns the model.
pub fn train() -> Result<Sequential> {
    let (x, y) = points();
    let model = model()?;
    let loss_fn = SparseCategoricalCrossentropy::default();
    let mut optimizer = model.optimizer(SGD::new(0.1))?;
    let mut last = 0.0;
    for epoch in 0..5 {
        for batch in batches(&x, &y, 32, 7, epoch)? {
            let (x, y) = batch?;
            let mut cx = Context::training(7, optimizer.iterations);
            let loss = loss_fn.call(&y, &model.forward(&x, &mut cx)?)?;
            let mut gradients = model.backward(&loss)?;
            clip_grad_norm(&mut gradients, 1.0)?;
            model.update(&mut optimizer, &gradients, &mut cx)?;
            last = loss.to_scalar::<f32>()?;
        }
    }
    println!("pytorch style: loss of the last batch {last:.3}");
    Ok(model)
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    train().map(|_| ())
}
