//! How long a prediction of one row takes when 1, 2 and 8 threads ask one `Arc<Model>` at the same time:
//! median, 99th percentile, and predictions a second of all threads together.
//!
//!     cargo run --release -p sconce-bench --bin serving

use sconce::prelude::*;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Time for each number of threads.
const MEASURED: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    sconce_bench::run(run)
}

fn run() -> Result<()> {
    for (name, widths) in [("32-64-10", [32, 64, 10]), ("784-512-10", [784, 512, 10])] {
        let [inputs, hidden, outputs] = widths;
        let mut model = Sequential::new()
            .add(Dense::new(hidden).activation("relu").input_shape([inputs]))
            .add(Dense::new(outputs).activation("softmax"))
            .into_model();
        model.build(&Dims::batch_of(&[inputs]))?;
        let model = Arc::new(model);
        let row = Tensor::ones((1, inputs), DType::F32, &Device::Cpu)?;
        for threads in [1, 2, 8] {
            let times = measure(&model, &row, threads)?;
            let at =
                |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e6;
            let rate = times.len() as f64 / MEASURED.as_secs_f64();
            let _ = writeln!(
                std::io::stdout(),
                "{name}, {threads} threads: p50 {:.1} us, p99 {:.1} us, {rate:.0} a second",
                at(0.5),
                at(0.99)
            );
        }
    }
    Ok(())
}

/// The times of all predictions of all threads, sorted.
fn measure(model: &Arc<Model>, row: &Tensor, threads: usize) -> Result<Vec<Duration>> {
    let ask = || -> Result<Vec<Duration>> {
        let start = Instant::now();
        let mut times = Vec::new();
        while start.elapsed() < MEASURED {
            let asked = Instant::now();
            model.predict_on_batch(row)?;
            times.push(asked.elapsed());
        }
        Ok(times)
    };
    let mut all = Vec::new();
    std::thread::scope(|scope| -> Result<()> {
        let asking: Vec<_> = (0..threads).map(|_| scope.spawn(ask)).collect();
        for thread in asking {
            let stopped = |_| Error::training("a thread of the measurement stopped");
            all.extend(thread.join().map_err(stopped)??);
        }
        Ok(())
    })?;
    all.sort();
    Ok(all)
}
