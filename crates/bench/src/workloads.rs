//! The workloads, trained by Sconce's public `fit`.

use ndarray::{Array1, Array2, ArrayD};
use sconce::core::Stream;
use sconce::prelude::*;
use sconce::train::Run;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A training run that all peers can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    /// 32-64-10, SGD with clipnorm, batches of 32: overhead.
    Seed,
    /// 784-512-512-10, Adam, batches of 128: products and memory.
    Mlp,
    /// Two convolutions with pooling on 28 x 28 pixels, Adam, batches of 128.
    Cnn,
}

/// Microseconds a step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// Of the best epoch.
    pub best: f64,
    /// Of the median epoch.
    pub median: f64,
}

impl Timing {
    /// From seconds an epoch.
    pub fn of(mut epochs: Vec<f64>, steps: usize) -> Self {
        epochs.sort_by(f64::total_cmp);
        let us = |seconds: Option<&f64>| seconds.copied().unwrap_or_default() / steps as f64 * 1e6;
        Self { best: us(epochs.first()), median: us(epochs.get(epochs.len() / 2)) }
    }
}

impl Workload {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Mlp => "mlp",
            Self::Cnn => "cnn",
        }
    }

    /// What is trained.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Seed => "32-64-10, SGD 0.01 clipnorm 1.0, 10,000 rows, batch 32",
            Self::Mlp => "784-512-512-10, Adam 0.001, 20,000 rows, batch 128",
            Self::Cnn => {
                "28x28x1, conv 3x3 32, pool, conv 3x3 64, pool, Adam 0.001, 4,000 rows, batch 128"
            }
        }
    }

    /// Epochs of one run.
    pub fn epochs(self) -> usize {
        match self {
            Self::Seed => 10,
            Self::Mlp => 4,
            Self::Cnn => 4,
        }
    }

    /// Rows, features, batch size.
    pub fn sizes(self) -> (usize, usize, usize) {
        match self {
            Self::Seed => (10_000, 32, 32),
            Self::Mlp => (20_000, 784, 128),
            Self::Cnn => (4_000, 784, 128),
        }
    }

    /// Units of the hidden dense layers.
    pub fn hidden(self) -> &'static [usize] {
        match self {
            Self::Seed => &[64],
            Self::Mlp => &[512, 512],
            Self::Cnn => &[],
        }
    }

    /// Steps an epoch.
    pub fn steps(self) -> usize {
        let (rows, _, batch) = self.sizes();
        rows.div_ceil(batch)
    }

    /// Features and labels.
    pub fn data(self) -> (Array2<f32>, Array1<i64>) {
        let (rows, features, _) = self.sizes();
        let mut stream = Stream::named(0, self.name());
        let x = match self {
            Self::Seed => Array2::from_shape_simple_fn((rows, features), || stream.normal() as f32),
            _ => Array2::from_shape_simple_fn((rows, features), || stream.uniform()),
        };
        (x, Array1::from_shape_simple_fn(rows, || stream.below(10) as i64))
    }

    /// Trains once.
    pub fn run(self) -> Result<Timing> {
        let (x, y) = self.data();
        let (rows, _, batch) = self.sizes();
        let x = match self {
            Self::Cnn => x.into_shape_with_order(vec![rows, 28, 28, 1]),
            _ => Ok(x.into_dyn()),
        };
        let x: ArrayD<f32> = x.map_err(|e| Error::data(e.to_string()))?;
        let loss = "sparse_categorical_crossentropy";
        let mut model = Sequential::new();
        if self == Self::Cnn {
            model = model
                .add(Conv2D::new(32, 3).activation("relu"))
                .add(MaxPooling2D::new(2))
                .add(Conv2D::new(64, 3).activation("relu"))
                .add(MaxPooling2D::new(2))
                .add(Flatten::new())
                .add(Dropout::new(0.5));
        }
        for units in self.hidden() {
            model = model.add(Dense::new(*units).activation("relu"));
        }
        let mut model = model.add(Dense::new(10));
        match self {
            Self::Seed => model.compile(SGD::new(0.01).clipnorm(1.0), loss)?,
            _ => model.compile(Adam::new(0.001), loss)?,
        }
        let clock = Clock::default();
        let fit = Fit::new(self.epochs(), batch).verbose(Verbose::Silent).callback(clock.clone());
        model.fit_with(&x, &y, fit)?;
        Ok(Timing::of(clock.epochs(), self.steps()))
    }
}

/// Times epochs.
#[derive(Clone, Default)]
struct Clock(Arc<Mutex<(Option<Instant>, Vec<f64>)>>);

impl Clock {
    fn epochs(&self) -> Vec<f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

impl Callback for Clock {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn on(&mut self, event: &Event, _: &mut Run<'_>) -> Result<Flow> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::EpochBegin { .. } => state.0 = Some(Instant::now()),
            Event::EpochEnd { .. } => {
                let seconds = state.0.map_or(0.0, |start| start.elapsed().as_secs_f64());
                state.1.push(seconds);
            }
            _ => {}
        }
        Ok(Flow::Continue)
    }
}
