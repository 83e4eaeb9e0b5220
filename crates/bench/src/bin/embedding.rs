//! How long a step takes that trains a large embedding: microseconds, by optimizer. Those that change only the rows
//! used (SGD without momentum, Adagrad) beside those that change all.
//!
//!     cargo run --release -p sconce-bench --bin embedding

use sconce::core::Stream;
use sconce::prelude::*;
use sconce::train::optimizers::{Adagrad, Optimizer};
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Words, width, rows of a batch, words of a row.
const SIZES: (usize, usize, usize, usize) = (200_000, 64, 32, 100);
/// Steps, after three that do not count.
const STEPS: usize = 30;

fn main() -> ExitCode {
    sconce_bench::run(run)
}

fn run() -> Result<()> {
    let optimizers: [(&str, Optimizer); 5] = [
        ("SGD", SGD::new(0.01).into()),
        ("SGD, clipnorm", SGD::new(0.01).clipnorm(1.0).into()),
        ("Adagrad", Adagrad::new(0.01).into()),
        ("SGD, momentum", SGD::new(0.01).momentum(0.9).into()),
        ("Adam", Adam::new(0.001).into()),
    ];
    for (name, optimizer) in optimizers {
        let _ = writeln!(std::io::stdout(), "{name:<14} {:.0} us a step", measure(optimizer)?);
    }
    Ok(())
}

/// Microseconds of the best step.
fn measure(optimizer: Optimizer) -> Result<f64> {
    let (words, width, rows, steps) = SIZES;
    let x = Input::of_layer(InputLayer::of(Dims::batch_of(&[steps])).dtype("int64"));
    let h = GlobalAveragePooling1D::new().apply(&Embedding::new(words, width).apply(&x)?)?;
    let mut model = Model::new([&x], [&Dense::new(2).apply(&h)?])?;
    model.compile(optimizer, "sparse_categorical_crossentropy")?;
    let mut stream = Stream::named(0, "embedding");
    let mut draw = |below: usize, count: usize| -> Vec<i64> {
        (0..count).map(|_| stream.below(below as u64) as i64).collect()
    };
    let mut best = f64::INFINITY;
    for step in 0..STEPS + 3 {
        let x = Tensor::from_vec(draw(words, rows * steps), (rows, steps), &Device::Cpu)?;
        let y = Tensor::from_vec(draw(2, rows), rows, &Device::Cpu)?;
        let start = Instant::now();
        model.train_on_batch(&x, &y)?;
        if step >= 3 {
            best = best.min(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(best)
}
