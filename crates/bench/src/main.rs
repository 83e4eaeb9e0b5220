//! Benchmarks.
use ndarray::{Array1, Array2};
use sconce::prelude::*;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Clock(Instant, Vec<f64>);
impl Callback for Clock {
    fn name(&self) -> &'static str {
        "clock"
    }
    fn on(&mut self, event: &Event, _: &mut sconce::train::Run<'_>) -> Result<Flow> {
        match event {
            Event::EpochBegin { .. } => self.0 = Instant::now(),
            Event::EpochEnd { .. } => {
                self.1.push(self.0.elapsed().as_secs_f64());
                eprintln!("{:.3} ms", self.1.last().copied().unwrap_or_default() * 1e3);
            }
            _ => {}
        }
        Ok(Flow::Continue)
    }
}

fn main() -> Result<()> {
    for what in std::env::args().skip(1) {
        let mut s = sconce::core::Stream::named(0, "x");
        if what == "seed" {
            let x = Array2::from_shape_fn((10000, 32), |_| s.normal() as f32);
            let y = Array1::from_shape_fn(10000, |_| s.below(10) as i64);
            let mut model = Sequential::new()
                .add(Dense::new(64).activation("relu").input_shape([32]))
                .add(Dense::new(10));
            model.compile(SGD::new(0.01).clipnorm(1.0), "sparse_categorical_crossentropy")?;
            let h = model.fit_with(
                &x,
                &y,
                Fit::new(10, 32).verbose(Verbose::Silent).callback(Clock(Instant::now(), vec![])),
            )?;
            eprintln!("{:?} us/step = ms*1000/313", h.get("loss"));
        }
        if what == "mlp" {
            let x = Array2::from_shape_fn((20000, 784), |_| s.uniform());
            let y = Array1::from_shape_fn(20000, |_| s.below(10) as i64);
            let mut model = Sequential::new()
                .add(Dense::new(512).activation("relu").input_shape([784]))
                .add(Dense::new(512).activation("relu"))
                .add(Dense::new(10));
            model.compile(Adam::new(0.001), "sparse_categorical_crossentropy")?;
            let h = model.fit_with(
                &x,
                &y,
                Fit::new(3, 128).verbose(Verbose::Silent).callback(Clock(Instant::now(), vec![])),
            )?;
            eprintln!("{:?} us/step = ms*1000/157", h.get("loss"));
        }
    }
    Ok(())
}
