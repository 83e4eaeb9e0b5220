//! How long text takes that a model writes token by token, the likeliest each time: microseconds a token.
//!
//!     cargo run --release -p sconce-bench --bin generate -- [--peers PYTHON]
//!
//! `lstm` remembers what came before (stateful) and is given one token at a time; `gpt` reads its last 128 tokens
//! anew for each. The peer is PyTorch, in turns with Sconce.

use clap::{Parser, ValueEnum};
use sconce::layers::operations::{Cumsum, OnesLike};
use sconce::prelude::*;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Texts a turn, after one that does not count.
const RUNS: usize = 5;
/// Tokens that `gpt` reads.
const CONTEXT: usize = 128;

/// Times models that write text.
#[derive(Parser)]
struct Arguments {
    /// Which models; both if none is named.
    #[arg(value_enum)]
    writers: Vec<Writer>,
    /// Words of the vocabulary.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 10_000])]
    words: Vec<usize>,
    /// Tokens of a text.
    #[arg(long, default_value_t = 256)]
    tokens: usize,
    /// Run PyTorch with this Python.
    #[arg(long, value_name = "PYTHON")]
    peers: Option<PathBuf>,
    /// Turns: each runs Sconce, then the peer; the best of all turns counts.
    #[arg(long, default_value_t = 3)]
    turns: usize,
}

/// A model that writes text.
#[derive(Clone, Copy, ValueEnum)]
enum Writer {
    /// Embedding 128 wide, stateful LSTM of 256 units.
    Lstm,
    /// 64 wide, two blocks of 4 heads, feed-forward 256.
    Gpt,
}

fn main() -> ExitCode {
    sconce_bench::run(|| run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let all = Writer::value_variants();
    let writers = if arguments.writers.is_empty() { all } else { &arguments.writers };
    for writer in writers {
        for words in &arguments.words {
            let (model, tokens) = (writer.model(*words)?, arguments.tokens.max(1));
            let (mut ours, mut torch) = (f64::INFINITY, f64::INFINITY);
            for _ in 0..arguments.turns.max(1) {
                for run in 0..=RUNS {
                    let start = Instant::now();
                    writer.write(&model, tokens)?;
                    if run > 0 {
                        ours = ours.min(start.elapsed().as_secs_f64() * 1e6 / tokens as f64);
                    }
                }
                if let Some(python) = &arguments.peers {
                    torch = torch.min(writer.ask(python, *words, tokens).unwrap_or(f64::INFINITY));
                }
            }
            let peer = match arguments.peers {
                Some(_) if torch.is_finite() => {
                    format!(", PyTorch {torch:.1} us ({:.2}x)", torch / ours)
                }
                Some(_) => ", PyTorch failed".to_string(),
                None => String::new(),
            };
            let name = writer.name();
            let line = format!("{name:<4} {words:>6} words: Sconce {ours:.1} us a token{peer}");
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
    Ok(())
}

impl Writer {
    fn name(self) -> &'static str {
        match self {
            Self::Lstm => "lstm",
            Self::Gpt => "gpt",
        }
    }

    /// From tokens `[batch, steps]` to logits of the next ones.
    fn model(self, words: usize) -> Result<Model> {
        let x = Input::of_layer(InputLayer::of(Dims(vec![None, None])).dtype("int64"));
        let last = match self {
            Self::Lstm => {
                let h = Embedding::new(words, 128).apply(&x)?;
                LSTM::new(256).stateful(true).apply(&h)?
            }
            Self::Gpt => {
                let places = (Cumsum::new().axis(1).apply(&OnesLike::new().apply(&x)?)? - 1.0)?;
                let places = Embedding::new(CONTEXT, 64).apply(&places)?;
                let mut h = (Embedding::new(words, 64).apply(&x)? + places)?;
                for _ in 0..2 {
                    let normal = LayerNormalization::new().apply(&h)?;
                    let read = Args::one(normal.clone()).tensor(normal);
                    let read = read.value("use_causal_mask", true);
                    h = (&h + &MultiHeadAttention::new(4, 16).apply(read)?)?;
                    let normal = LayerNormalization::new().apply(&h)?;
                    let wide = Dense::new(256).activation("relu").apply(&normal)?;
                    h = (&h + &Dense::new(64).apply(&wide)?)?;
                }
                LayerNormalization::new().apply(&h.get([Index::from(..), (-1).into()])?)?
            }
        };
        let mut model = Model::new([&x], [&Dense::new(words).apply(&last)?])?;
        model.build(&Dims(vec![None, None]))?;
        Ok(model)
    }

    /// Writes a text of its own.
    fn write(self, model: &Model, tokens: usize) -> Result<Vec<i64>> {
        model.reset_states();
        let mut text = vec![1];
        while text.len() <= tokens {
            let from = match self {
                Self::Lstm => text.len() - 1,
                Self::Gpt => text.len().saturating_sub(CONTEXT),
            };
            let read = text.get(from..).unwrap_or_default();
            let x = Tensor::from_slice(read, (1, read.len()), &Device::Cpu)?;
            let logits = model.predict_on_batch(&x)?;
            text.push(logits.flatten_all()?.argmax(0)?.to_scalar::<u32>()?.into());
        }
        Ok(text)
    }

    /// Microseconds a token of PyTorch; `None` if it is not installed, or failed (its message goes to stderr).
    fn ask(self, python: &Path, words: usize, tokens: usize) -> Option<f64> {
        let output = Command::new(python)
            .args(["-c", include_str!("../../peers/generate_bench.py"), self.name()])
            .args([words, tokens, RUNS].map(|number| number.to_string()))
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let time = text.lines().last().and_then(|line| line.parse().ok());
        if time.is_none() {
            let error = String::from_utf8_lossy(&output.stderr);
            eprintln!("PyTorch: {}", error.lines().last().unwrap_or("failed"));
        }
        time
    }
}
