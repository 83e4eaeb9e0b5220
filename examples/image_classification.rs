//! How do I classify images? With convolutions and pooling, on handwritten digits of 8 x 8 pixels.
//!
//!     cargo run --release --example image_classification

use sconce::data::datasets::{Builtin, BuiltinName, Part};
use sconce::prelude::*;

/// The images `[rows, 8, 8, 1]`, from 0 to 1, and the digits of a part of the data.
fn digits(split: Part) -> Result<(Tensor, Tensor)> {
    let data = Builtin { split, ..Builtin::new(BuiltinName::Digits) }.load()?;
    let [x, y] = [data.x, data.y].map(|arrays| arrays.into_iter().next());
    let (Some(x), Some(y)) = (x, y) else { return Err(Error::data("no digits")) };
    let rows = x.dim(0)?;
    Ok(((x.reshape((rows, 8, 8, 1))? / 16.0)?, y))
}

/// Trains, and returns the model and its scores on images that it has not seen.
pub fn train() -> Result<(Model, Scores)> {
    let (x, y) = digits(Part::Train)?;
    let image = Input::new([8, 8, 1]);
    let h = Conv2D::new(16, 3).padding(Padding::Same).activation("relu").apply(&image)?;
    let h = MaxPooling2D::new(2).apply(&h)?;
    let h = Conv2D::new(32, 3).padding(Padding::Same).activation("relu").apply(&h)?;
    let h = GlobalAveragePooling2D::new().apply(&h)?;
    let digit = Dense::new(10).apply(&h)?;
    let mut model = Model::new([&image], [&digit])?;
    let loss = "sparse_categorical_crossentropy";
    model.compile_with(Compile::new(Adam::new(0.01), loss).metrics(["accuracy"]))?;
    model.fit_with(&x, &y, Fit::new(15, 32).verbose(Verbose::Silent))?;
    let (x, y) = digits(Part::Test)?;
    let scores = model.evaluate(&x, &y)?;
    println!("on images held out: {scores}");
    Ok((model, scores))
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    let (model, _) = train()?;
    model.save("digits.keras")
}
