//! How do I classify texts? Words become numbers, rows of them are padded with 0, and the embedding's mask keeps
//! the padding out of everything after it.
//!
//!     cargo run --release --example text_classification

use sconce::core::Stream;
use sconce::prelude::*;

const STEPS: usize = 14;
const NOUNS: [&str; 8] = ["film", "story", "plot", "cast", "music", "camera", "ending", "dialogue"];
const GOOD: [&str; 6] = ["good", "great", "lovely", "clever", "moving", "funny"];
const BAD: [&str; 6] = ["bad", "poor", "dull", "weak", "silly", "boring"];

/// One of several words.
fn choice<'a>(random: &mut Stream, words: &[&'a str]) -> &'a str {
    let index = (random.uniform_f64() * words.len() as f64) as usize;
    words.get(index).copied().unwrap_or_default()
}

/// An invented review and whether it praises, which its last clause says: "the plot was dull but the cast is not bad".
fn review(random: &mut Stream) -> (String, i64) {
    let mut clauses = Vec::new();
    let mut praises = false;
    for _ in 0..=(random.uniform_f64() * 2.0) as usize {
        let denied = random.uniform_f64() < 0.4;
        praises = random.uniform_f64() < 0.5;
        let judgement = choice(random, if praises == denied { &BAD } else { &GOOD });
        let noun = choice(random, &NOUNS);
        let verb = choice(random, &["was", "is"]);
        let not = if denied { choice(random, &[" not", " never"]) } else { "" };
        clauses.push(format!("the {noun} {verb}{not} {judgement}"));
    }
    (clauses.join(" but "), i64::from(praises))
}

/// The words that a model knows; a word's number is its place, counted from 2: 0 is padding, 1 any other word.
pub struct Vocabulary(Vec<String>);

impl Vocabulary {
    fn of(texts: &[String]) -> Self {
        let mut words: Vec<String> =
            texts.iter().flat_map(|text| text.split(' ')).map(str::to_string).collect();
        words.sort_unstable();
        words.dedup();
        Self(words)
    }

    /// Texts as rows of numbers.
    fn encode(&self, texts: &[String]) -> Result<Tensor> {
        let number = |word: &str| self.0.iter().position(|w| w == word).map_or(1, |i| i as i64 + 2);
        let mut rows = Vec::with_capacity(texts.len() * STEPS);
        for text in texts {
            let words = text.split(' ').map(number);
            rows.extend(words.chain(std::iter::repeat(0)).take(STEPS));
        }
        Ok(Tensor::from_vec(rows, (texts.len(), STEPS), &Device::Cpu)?)
    }
}

/// A bidirectional LSTM on words; its scores on reviews that it was not trained on.
pub fn train() -> Result<(Model, Vocabulary, Scores)> {
    let mut random = Stream::named(0, "reviews");
    let (texts, labels): (Vec<String>, Vec<i64>) = (0..1200).map(|_| review(&mut random)).unzip();
    let (train_texts, test_texts) = texts.split_at(1000);
    let (train_labels, test_labels) = labels.split_at(1000);
    let vocabulary = Vocabulary::of(train_texts);

    let words = Input::of_layer(InputLayer::of(Dims(vec![None, Some(STEPS)])).dtype("int64"));
    let h = Embedding::new(vocabulary.0.len() + 2, 16).mask_zero(true).apply(&words)?;
    let h = Bidirectional::new(LSTM::new(16)).apply(&h)?;
    let h = Dropout::new(0.2).apply(&h)?;
    let y = Dense::new(1).activation("sigmoid").apply(&h)?;
    let mut model = Model::new([&words], [&y])?;
    let compile = Compile::new(Adam::new(0.01), "binary_crossentropy").metrics(["accuracy"]);
    model.compile_with(compile)?;
    let fit = Fit::new(10, 32).validation_split(0.1).verbose(Verbose::Silent);
    model.fit_with(&vocabulary.encode(train_texts)?, train_labels, fit)?;
    let scores = model.evaluate(&vocabulary.encode(test_texts)?, test_labels)?;
    Ok((model, vocabulary, scores))
}

/// How sure the model is that each text praises.
pub fn praise(model: &Model, vocabulary: &Vocabulary, texts: &[String]) -> Result<Vec<f32>> {
    Ok(model.predict(&vocabulary.encode(texts)?)?.flatten_all()?.to_vec1()?)
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    let (model, vocabulary, scores) = train()?;
    println!("{scores}");
    let texts = ["the plot was not bad", "the music is lovely but the ending was never funny"];
    let texts = texts.map(str::to_string);
    for (text, praise) in texts.iter().zip(praise(&model, &vocabulary, &texts)?) {
        println!("{praise:.2} {text}");
    }
    Ok(())
}
