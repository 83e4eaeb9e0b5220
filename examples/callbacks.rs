//! How do I watch and steer a run? With callbacks: those that are there, closures, and your own.
//!
//!     cargo run --release --example callbacks

use sconce::core::Stream;
use sconce::prelude::*;
use sconce::train::Run;
use sconce::train::callbacks::ReduceLROnPlateau;
use std::sync::{Arc, Mutex};

/// Stops once the loss has been below a goal for some epochs, and counts the batches on the way.
pub struct StopWhenGood {
    goal: f64,
    patience: usize,
    good: usize,
    /// Batches that the run took.
    pub batches: usize,
}

impl Callback for StopWhenGood {
    fn name(&self) -> &'static str {
        "StopWhenGood"
    }

    fn prepare(&mut self, run: &Run<'_>) -> Result<()> {
        (self.good, self.batches) = (0, 0);
        // An error before the first epoch, if the run does not log it.
        run.logged.check("goal", "val_loss")
    }

    fn on(&mut self, event: &Event, _run: &mut Run<'_>) -> Result<Flow> {
        match event {
            Event::BatchEnd { .. } => self.batches += 1,
            Event::EpochEnd { logs, .. } => {
                let is_good = logs.get("val_loss").is_some_and(|loss| loss < self.goal);
                self.good = if is_good { self.good + 1 } else { 0 };
            }
            _ => {}
        }
        Ok(match self.good < self.patience {
            true => Flow::Continue,
            false => Flow::Stop(format!("val_loss is below {}", self.goal)),
        })
    }
}

/// The history, the callback of our own and how many epochs `EarlyStopping` waited.
pub fn train() -> Result<(History, Arc<Mutex<StopWhenGood>>)> {
    let mut random = Stream::named(0, "waves");
    let x: Vec<[f32; 1]> = (0..400).map(|_| [2.0 * random.uniform_f64() as f32 - 1.0]).collect();
    let wave = |[x]: &[f32; 1]| [(3.0 * x).sin() + 0.02 * random.normal() as f32];
    let y: Vec<[f32; 1]> = x.iter().map(wave).collect();

    let mut model = Sequential::new()
        .add(Dense::new(32).activation("tanh").input_shape([1]))
        .add(Dense::new(1));
    model.compile(Adam::new(0.02), "mse")?;

    // To be asked afterwards; others are given to `fit` as they are.
    let good = StopWhenGood { goal: 0.01, patience: 3, good: 0, batches: 0 };
    let good = Arc::new(Mutex::new(good));
    // Keras's learning rate schedules by epoch: halved after ten epochs.
    let schedule = LambdaCallback::new().on_epoch_begin(|epoch, run| {
        if epoch == 10 {
            let rate = run.model.learning_rate()?;
            run.model.set_learning_rate(rate / 2.0)?;
        }
        Ok(Flow::Continue)
    });
    let fit = Fit::new(200, 32)
        .validation_split(0.2)
        .verbose(Verbose::Silent)
        .callback(EarlyStopping::new("val_loss").patience(20).restore_best_weights(true))
        .callback(ReduceLROnPlateau::new().patience(10))
        .callback(schedule)
        .callback(good.clone());
    Ok((model.fit_with(&x, &y, fit)?, good))
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    let (history, good) = train()?;
    let batches = good.lock().map_or(0, |good| good.batches);
    let epochs = history.get("loss").len();
    println!("{epochs} epochs, {batches} batches, val_loss {:.4?}", history.last("val_loss"));
    Ok(())
}
