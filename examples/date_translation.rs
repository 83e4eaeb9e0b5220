//! How do I translate one sequence into another? Dates as people write them ("3 may 2016", "may 3, 2016") become
//! "2016-05-03": an encoder reads all characters, a decoder begins with its states, attends to what it read and
//! writes character by character.
//!
//!     cargo run --release --example date_translation

use sconce::core::Stream;
use sconce::prelude::*;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Of what people write; 0 is padding, other characters count from 1.
const LETTERS: &str = " ,./0123456789abcdefghijlmnoprstuvy";
/// Of what comes out: 0 begins a date, other characters count from 1.
const DIGITS: &str = "-0123456789";
const READ: usize = 18;
const WRITTEN: usize = 10;

/// An invented date as somebody writes it, and as it should be.
fn date(random: &mut Stream) -> (String, String) {
    let mut below = |count: usize| (random.uniform_f64() * count as f64) as usize;
    let (year, month, day) = (1950 + below(100), below(12), 1 + below(28));
    let name = MONTHS.get(month).copied().unwrap_or_default();
    let number = month + 1;
    let written = match below(5) {
        0 => format!("{day} {name} {year}"),
        1 => format!("{name} {day}, {year}"),
        2 => format!("{day} {} {year}", name.get(..3).unwrap_or(name)),
        3 => format!("{day}.{number}.{year}"),
        _ => format!("{number}/{day}/{year}"),
    };
    (written, format!("{year}-{number:02}-{day:02}"))
}

/// The numbers of a text's characters, counted from 1.
fn numbers(text: &str, alphabet: &str) -> Vec<i64> {
    text.chars()
        .map(|c| alphabet.chars().position(|a| a == c).map_or(0, |i| i as i64 + 1))
        .collect()
}

fn rows(texts: Vec<Vec<i64>>, length: usize) -> Result<Tensor> {
    let count = texts.len();
    let padded = texts
        .into_iter()
        .flat_map(|text| text.into_iter().chain(std::iter::repeat(0)).take(length));
    Ok(Tensor::from_vec(padded.collect::<Vec<i64>>(), (count, length), &Device::Cpu)?)
}

/// Texts to the rows that the encoder reads.
fn encode(texts: &[String]) -> Result<Tensor> {
    rows(texts.iter().map(|text| numbers(text, LETTERS)).collect(), READ)
}

/// What was read, and what was written before each step, to logits of the next characters.
fn network() -> Result<Model> {
    let read = Input::typed([READ], "int64");
    let before = Input::typed([WRITTEN], "int64");
    let letters =
        Embedding::new(LETTERS.len() + 1, 32).mask_zero(true).name("letters").apply(&read)?;
    let encoder = LSTM::new(64).return_sequences(true).return_state(true).name("encoder");
    let mut states = encoder.apply_all(&letters)?.into_iter();
    let memory = states.next().ok_or_else(|| Error::config("", "the encoder gave nothing"))?;

    let digits = Embedding::new(DIGITS.len() + 1, 32).name("digits").apply(&before)?;
    let states = Arg::List(states.map(Arg::One).collect());
    let decoder = LSTM::new(64).return_sequences(true).name("decoder");
    let h = decoder.apply(Args::one(digits).arg(states))?;
    let attended = Attention::new().use_scale(true).apply([&h, &memory])?;
    let h = Concatenate::new().apply([&h, &attended])?;
    let h = Dense::new(64).activation("tanh").apply(&h)?;
    Model::new([&read, &before], [&Dense::new(DIGITS.len() + 1).apply(&h)?])
}

/// Writes each date character by character, the likeliest one each time.
pub fn translate(model: &Model, texts: &[String]) -> Result<Vec<String>> {
    let read = encode(texts)?;
    let mut written: Vec<Vec<i64>> = vec![Vec::new(); texts.len()];
    for step in 0..WRITTEN {
        let before = written.iter().map(|row| [&[0], row.as_slice()].concat()).collect();
        let logits = model.predict(&[read.clone(), rows(before, WRITTEN)?])?;
        let best: Vec<u32> = logits.narrow(1, step, 1)?.squeeze(1)?.argmax(1)?.to_vec1()?;
        written.iter_mut().zip(best).for_each(|(row, next)| row.push(i64::from(next)));
    }
    let character = |number: &i64| DIGITS.chars().nth((*number as usize).wrapping_sub(1));
    Ok(written.iter().map(|row| row.iter().filter_map(character).collect()).collect())
}

/// Trains; the share of dates that it was not trained on and translates without a mistake.
pub fn train(count: usize, epochs: usize) -> Result<(Model, f64)> {
    let mut random = Stream::named(0, "dates");
    let (read, truth): (Vec<String>, Vec<String>) =
        (0..count + 200).map(|_| date(&mut random)).unzip();
    let (read, new) = read.split_at(count);
    let (truth, truth_of_new) = truth.split_at(count);
    let target: Vec<Vec<i64>> = truth.iter().map(|text| numbers(text, DIGITS)).collect();
    // The decoder is given what it should have written before.
    let before = target.iter().map(|row| [&[0], row.as_slice()].concat()).collect();

    let mut model = network()?;
    model.compile(Adam::new(0.005).clipnorm(1.0), "sparse_categorical_crossentropy")?;
    let fit = Fit::new(epochs, 64).verbose(Verbose::Silent);
    model.fit_with(&[encode(read)?, rows(before, WRITTEN)?], &rows(target, WRITTEN)?, fit)?;
    let made = translate(&model, new)?;
    let right = made.iter().zip(truth_of_new).filter(|(made, truth)| made == truth).count();
    Ok((model, right as f64 / new.len() as f64))
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    let (model, right) = train(6000, 12)?;
    println!("{:.1} % of new dates are translated without a mistake", 100.0 * right);
    let texts = ["17 july 1998", "3 sep 2005", "october 21, 2026", "5/9/1971"].map(str::to_string);
    for (text, made) in texts.iter().zip(translate(&model, &texts)?) {
        println!("{text} -> {made}");
    }
    Ok(())
}
