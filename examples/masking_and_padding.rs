//! How do I train on sequences of different lengths? Pad them to one length; a mask keeps the padding out of what
//! comes after, of layers of your own too.
//!
//!     cargo run --release --example masking_and_padding

use sconce::core::Stream;
use sconce::prelude::*;

/// The mean over the steps that count. x `[batch, steps, features]`, y `[batch, features]`.
pub struct MaskedMean;

impl Configured for MaskedMean {
    fn class_name(&self) -> &'static str {
        "MaskedMean"
    }
}

impl Layer for MaskedMean {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("MaskedMean")?;
        let mut y = x.clone();
        y.dims = Dims(vec![x.dims.0.first().copied().flatten(), Some(x.dims.last()?)]);
        Ok(vec![y])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        let Some(mask) = call.mask(0) else { return Ok(vec![x.mean(1)?]) };
        let counts = mask.to_dtype(x.dtype())?.unsqueeze(2)?;
        let sum = x.broadcast_mul(&counts)?.sum(1)?;
        Ok(vec![sum.broadcast_div(&counts.sum(1)?.clamp(1.0, f64::INFINITY)?)?])
    }

    // It reads the mask, and its output has no steps any more: the mask ends here.
    fn supports_masking(&self) -> bool {
        true
    }

    fn mask(&self, _: &Call<'_>, outputs: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; outputs.len()])
    }
}

/// Keras's `pad_sequences(.., padding="post")`: rows of one length, 0 where a sequence has ended.
pub fn padded(sequences: &[Vec<i64>], steps: usize) -> Result<Tensor> {
    let row = |s: &Vec<i64>| s.iter().copied().chain(std::iter::repeat(0)).take(steps).collect();
    let rows: Vec<Vec<i64>> = sequences.iter().map(row).collect();
    Ok(Tensor::from_vec(rows.concat(), (sequences.len(), steps), &Device::Cpu)?)
}

/// Sequences of 2 to 9 numbers from 1 to 9, and whether most of them are above 5.
pub fn sequences() -> (Vec<Vec<i64>>, Vec<[f32; 1]>) {
    let mut random = Stream::named(0, "sequences");
    let mut draw = |values: f64| (random.uniform_f64() * values) as i64;
    let sequences: Vec<Vec<i64>> =
        (0..600).map(|_| (0..2 + draw(8.0)).map(|_| 1 + draw(9.0)).collect()).collect();
    let above = |s: &Vec<i64>| s.iter().filter(|value| **value > 5).count() * 2 > s.len();
    let labels = sequences.iter().map(|s| [f32::from(above(s))]).collect();
    (sequences, labels)
}

/// A model whose embedding masks the number 0; `Masking` does the same for features that are floats.
pub fn train() -> Result<(Model, Scores)> {
    let (sequences, labels) = sequences();
    let x = padded(&sequences, 9)?;
    let numbers = Input::of_layer(InputLayer::of(Dims(vec![None, None])).dtype("int64"));
    let h = Embedding::new(10, 8).mask_zero(true).apply(&numbers)?;
    let h = GRU::new(8).return_sequences(true).apply(&h)?;
    let h = MaskedMean.apply(&h)?;
    let y = Dense::new(1).activation("sigmoid").apply(&h)?;
    let mut model = Model::new([&numbers], [&y])?;
    let compile = Compile::new(Adam::new(0.02), "binary_crossentropy").metrics(["accuracy"]);
    model.compile_with(compile)?;
    model.fit_with(&x, &labels, Fit::new(15, 32).verbose(Verbose::Silent))?;
    let scores = model.evaluate(&x, &labels)?;
    Ok((model, scores))
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    let (model, scores) = train()?;
    println!("{scores}");
    // However long the padding, the prediction is the same.
    let sequence = [vec![9, 2, 8]];
    for steps in [3, 9, 30] {
        println!("{steps:2} steps: {}", model.predict(&padded(&sequence, steps)?)?);
    }
    Ok(())
}
