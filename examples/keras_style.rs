//! How do I train as in Keras? `compile`, then `fit`.
//!
//!     cargo run --release --example keras_style

use sconce::core::{Dims, Stream};
use sconce::prelude::*;

/// 600 points around three centres in the plane, and the number of each point's centre.
pub fn points() -> (Vec<[f32; 2]>, Vec<i64>) {
    let mut random = Stream::named(1, "points");
    let labels: Vec<i64> = (0..600).map(|i| i % 3).collect();
    let place = |label: &i64| {
        let angle = *label as f64 * std::f64::consts::TAU / 3.0;
        let (x, y) = (angle.cos() + 0.4 * random.normal(), angle.sin() + 0.4 * random.normal());
        [x as f32, y as f32]
    };
    (labels.iter().map(place).collect(), labels)
}

/// The model that all three styles train.
pub fn model() -> Result<Sequential> {
    let mut model = Sequential::new()
        .add(Dense::new(16).activation("relu").input_shape([2]))
        .add(Dropout::new(0.1))
        .add(Dense::new(3));
    model.build(&Dims::batch_of(&[2]))?;
    Ok(model)
}

/// Trains, and returns the model.
pub fn train() -> Result<Sequential> {
    let (x, y) = points();
    let mut model = model()?;
    let optimizer = SGD::new(0.1).global_clipnorm(1.0);
    model.compile(optimizer, "sparse_categorical_crossentropy")?;
    let history = model.fit_with(&x, &y, Fit::new(5, 32).seed(7).verbose(Verbose::Silent))?;
    println!("keras style: loss {:.3}", history.last("loss").unwrap_or_default());
    Ok(model)
}

#[allow(dead_code)] // The other styles and a test include this file as a module.
fn main() -> Result<()> {
    train().map(|_| ())
}
