//! How do I generate text character by character?
//!
//! An LSTM learns to continue a text. For generation the same weights go into a model with a stateful
//! LSTM, which remembers what came before: each call takes one character and gives the next.
//!
//!     cargo run --release --example sequence_generation

use sconce::prelude::*;

const TEXT: &str = "the sea is wide and the boat is small. ";
const STEPS: usize = 20;

/// The characters of the text, each once.
fn alphabet() -> Vec<char> {
    let mut letters: Vec<char> = TEXT.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    letters
}

/// Characters to logits of the next ones.
fn network(letters: usize, stateful: bool) -> Result<Model> {
    let x = Input::of_layer(InputLayer::of(Dims(vec![None, None])).dtype("int64"));
    let h = Embedding::new(letters, 8).name("letters").apply(&x)?;
    let h = LSTM::new(48).return_sequences(true).stateful(stateful).name("memory").apply(&h)?;
    let y = Dense::new(letters).name("next").apply(&h)?;
    let mut model = Model::new([&x], [&y])?;
    model.compile(Adam::new(0.01), "sparse_categorical_crossentropy")?;
    Ok(model)
}

/// Trains, then continues `start` by a number of characters.
pub fn generate(start: &str, count: usize) -> Result<String> {
    let letters = alphabet();
    let index =
        |letter: char| letters.iter().position(|other| *other == letter).unwrap_or(0) as i64;
    let text: Vec<i64> = TEXT.repeat(4).chars().map(index).collect();
    let rows = text.len() - STEPS;
    let windows = |from: usize| -> Result<Tensor> {
        let all: Vec<i64> =
            (0..rows).flat_map(|row| text[row + from..][..STEPS].to_vec()).collect();
        Ok(Tensor::from_vec(all, (rows, STEPS), &Device::Cpu)?)
    };
    let mut model = network(letters.len(), false)?;
    model.fit_with(&windows(0)?, &windows(1)?, Fit::new(40, 16).verbose(Verbose::Silent))?;

    let writer = network(letters.len(), true)?;
    writer.network()?.set_weights(&model.network()?.get_weights()?)?;
    let next = |letter: char| -> Result<char> {
        let x = Tensor::new(&[[index(letter)]], &Device::Cpu)?;
        let best = writer.predict(&x)?.flatten_all()?.argmax(0)?.to_scalar::<u32>()?;
        Ok(letters[best as usize])
    };
    let mut written = start.to_string();
    let mut letter = ' ';
    for given in start.chars() {
        letter = next(given)?;
    }
    for _ in 0..count {
        written.push(letter);
        letter = next(letter)?;
    }
    Ok(written)
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    println!("{}", generate("the boat", 60)?);
    Ok(())
}
