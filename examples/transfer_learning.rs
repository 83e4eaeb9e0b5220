//! How do I go on from a trained model? Freeze its features, train a new head on them, then fine-tune all of
//! it at a low learning rate.
//!
//!     cargo run --release --example transfer_learning

use sconce::data::datasets::{Builtin, BuiltinName, Part};
use sconce::prelude::*;
use std::path::Path;

/// Images `[rows, 8, 8, 1]`, from 0 to 1, of the digits from `first` on, five in all, as classes 0 to 4.
fn digits(split: Part, first: i64) -> Result<(Tensor, Vec<i64>)> {
    let data = Builtin { split, ..Builtin::new(BuiltinName::Digits) }.load()?;
    let [x, y] = [data.x, data.y].map(|arrays| arrays.into_iter().next());
    let (Some(x), Some(y)) = (x, y) else { return Err(Error::data("no digits")) };
    let labels: Vec<i64> = y.to_dtype(DType::I64)?.flatten_all()?.to_vec1()?;
    let chosen = |row: &usize| (first..first + 5).contains(&labels[*row]);
    let rows: Vec<u32> = (0..labels.len()).filter(chosen).map(|row| row as u32).collect();
    let classes: Vec<i64> = rows.iter().map(|row| labels[*row as usize] - first).collect();
    let rows = Tensor::new(rows, x.device())?;
    let images = (x.index_select(&rows, 0)? / 16.0)?;
    Ok((images.reshape((classes.len(), 8, 8, 1))?, classes))
}

fn compile(model: &mut Model, learning_rate: f64) -> Result<()> {
    let loss = "sparse_categorical_crossentropy";
    model.compile_with(Compile::new(Adam::new(learning_rate), loss).metrics(["accuracy"]))
}

/// A model of the digits 0 to 4, in a file.
pub fn train_base(path: &Path) -> Result<()> {
    let (x, y) = digits(Part::Train, 0)?;
    let image = Input::new([8, 8, 1]);
    let h = Conv2D::new(16, 3).padding(Padding::Same).activation("relu").apply(&image)?;
    let h = MaxPooling2D::new(2).apply(&h)?;
    let h = Conv2D::new(32, 3).padding(Padding::Same).activation("relu").apply(&h)?;
    let h = GlobalAveragePooling2D::new().name("features").apply(&h)?;
    let mut model = Model::new([&image], [&Dense::new(5).apply(&h)?])?;
    compile(&mut model, 0.01)?;
    model.fit_with(&x, &y, Fit::new(10, 32).verbose(Verbose::Silent))?;
    model.save(path)
}

/// How well the digits 5 to 9 are told apart.
#[derive(Debug)]
pub struct Accuracies {
    /// With the features of the other digits.
    pub frozen: f64,
    /// After fine-tuning.
    pub fine_tuned: f64,
}

/// Trains a new head on the features of the model in `path`, then all of it.
pub fn transfer(path: &Path) -> Result<Accuracies> {
    let base = Model::load(path)?;
    let features = Model::new(base.inputs()?, base.layer_outputs("features")?)?;
    features.set_trainable(false);
    let image = Input::new([8, 8, 1]);
    let mut model = Model::new([&image], [&Dense::new(5).apply(&features.apply(&image)?)?])?;

    let ((x, y), (x_test, y_test)) = (digits(Part::Train, 5)?, digits(Part::Test, 5)?);
    let accuracy = |model: &mut Model| -> Result<f64> {
        Ok(model.evaluate(&x_test, &y_test)?.get("accuracy").unwrap_or(f64::NAN))
    };
    compile(&mut model, 0.01)?;
    model.fit_with(&x, &y, Fit::new(15, 32).verbose(Verbose::Silent))?;
    let frozen = accuracy(&mut model)?;

    // What is trainable counts from the next `compile` on. A low rate keeps what the features know.
    features.set_trainable(true);
    compile(&mut model, 0.001)?;
    model.fit_with(&x, &y, Fit::new(15, 32).verbose(Verbose::Silent))?;
    Ok(Accuracies { frozen, fine_tuned: accuracy(&mut model)? })
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    let path = Path::new("digits_0_to_4.keras");
    train_base(path)?;
    let Accuracies { frozen, fine_tuned } = transfer(path)?;
    println!(
        "accuracy on digits 5 to 9: {frozen:.3} with frozen features, {fine_tuned:.3} fine-tuned"
    );
    Ok(())
}
