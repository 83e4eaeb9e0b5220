//! The workloads, trained by Sconce's public `fit`.

use crate::models;
use ndarray::{Array1, Array2};
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
    /// Six residual blocks with batch normalization on 32 x 32 pixels, SGD with momentum, batches of 64.
    Resnet,
    /// Embedding and LSTM over 100 steps, Adam, batches of 32.
    Lstm,
    /// A transformer block over 200 tokens, Adam, batches of 32.
    Transformer,
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
            Self::Resnet => "resnet",
            Self::Lstm => "lstm",
            Self::Transformer => "transformer",
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
            Self::Resnet => {
                "32x32x3, 16/32/64 filters, two blocks each, SGD 0.05 momentum 0.9, 1,024 rows, batch 64"
            }
            Self::Lstm => {
                "100 of 10,000 words, 128 wide, LSTM 64, Adam 0.001, 2,000 rows, batch 32"
            }
            Self::Transformer => {
                "200 of 20,000 words, 64 wide, 4 heads, feed-forward 128, Adam 0.001, 1,000 rows, batch 32"
            }
        }
    }

    /// Epochs of one run.
    pub fn epochs(self) -> usize {
        match self {
            Self::Seed => 10,
            Self::Mlp | Self::Cnn => 4,
            Self::Resnet | Self::Lstm | Self::Transformer => 3,
        }
    }

    /// Rows, features, batch size.
    pub fn sizes(self) -> (usize, usize, usize) {
        match self {
            Self::Seed => (10_000, 32, 32),
            Self::Mlp => (20_000, 784, 128),
            Self::Cnn => (4_000, 784, 128),
            Self::Resnet => (1_024, 3_072, 64),
            Self::Lstm => (2_000, 100, 32),
            Self::Transformer => (1_000, 200, 32),
        }
    }

    /// Units of the hidden dense layers.
    pub fn hidden(self) -> &'static [usize] {
        match self {
            Self::Seed => &[64],
            Self::Mlp => &[512, 512],
            _ => &[],
        }
    }

    /// The number of classes, and of words if the features are words.
    fn ranges(self) -> (u64, Option<u64>) {
        match self {
            Self::Lstm => (2, Some(10_000)),
            Self::Transformer => (2, Some(20_000)),
            _ => (10, None),
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
        let (classes, words) = self.ranges();
        let mut stream = Stream::named(0, self.name());
        let x = Array2::from_shape_simple_fn((rows, features), || match (words, self) {
            (Some(words), _) => stream.below(words) as f32,
            (None, Self::Seed) => stream.normal() as f32,
            (None, _) => stream.uniform(),
        });
        (x, Array1::from_shape_simple_fn(rows, || stream.below(classes) as i64))
    }

    /// Trains once on a device, from data in memory.
    pub fn run(self, device: &Device) -> Result<Timing> {
        let (x, y) = self.data();
        let (rows, features, batch) = self.sizes();
        let x = Tensor::from_iter(x, &Device::Cpu)?;
        let x = match self {
            Self::Cnn => x.reshape((rows, 28, 28, 1))?,
            Self::Resnet => x.reshape((rows, 32, 32, 3))?,
            Self::Lstm | Self::Transformer => x.reshape((rows, features))?.to_dtype(DType::I64)?,
            Self::Seed | Self::Mlp => x.reshape((rows, features))?,
        };
        let mut model = models::model(self, device)?;
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
