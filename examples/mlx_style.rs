//! How do I differentiate a function of the model, as in MLX? `value_and_grad`, then `update`.
//!
//!     cargo run --release --example mlx_style

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
            let loss_of =
                |model: &Model, cx: &mut Context| loss_fn.call(&y, &model.forward(&x, cx)?);
            let (loss, mut gradients) = value_and_grad(&model, &mut cx, loss_of)?;
            clip_grad_norm(&mut gradients, 1.0)?;
            model.update(&mut optimizer, &gradients, &mut cx)?;
            last = loss.to_scalar::<f32>()?;
        }
    }
    println!("mlx style: loss of the last batch {last:.3}");
    Ok(model)
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    train().map(|_| ())
}
