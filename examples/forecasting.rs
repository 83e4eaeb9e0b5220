//! How do I forecast several steps of a series? Windows of the past go in, the steps after them come out.
//!
//!     cargo run --release --example forecasting

use sconce::core::Stream;
use sconce::prelude::*;

const HOURS: usize = 24;
const AHEAD: usize = 6;

/// An invented temperature by the hour: a curve of the day, the weather of the week, noise.
fn temperatures(hours: usize) -> Vec<f32> {
    let mut random = Stream::named(0, "temperatures");
    let mut weather = 0.0;
    let mut at = |hour: usize| {
        weather = 0.98 * weather + 0.6 * random.normal();
        let day = ((hour as f64 - 9.0) / 24.0 * std::f64::consts::TAU).sin();
        (12.0 + 6.0 * day + weather + 0.3 * random.normal()) as f32
    };
    (0..hours).map(&mut at).collect()
}

/// Windows that begin every few hours: the past as `x`, what follows as `y`.
fn windows(series: &[f32], every: usize) -> Result<(Tensor, Tensor)> {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for window in series.windows(HOURS + AHEAD).step_by(every) {
        let (past, future) = window.split_at(HOURS);
        x.extend_from_slice(past);
        y.extend_from_slice(future);
    }
    let rows = y.len() / AHEAD;
    let x = Tensor::from_vec(x, (rows, HOURS, 1), &Device::Cpu)?;
    Ok((x, Tensor::from_vec(y, (rows, AHEAD), &Device::Cpu)?))
}

/// By how many degrees forecasts are wrong, on average.
#[derive(Debug)]
pub struct Errors {
    /// Those of the network.
    pub network: f64,
    /// Of saying that it will be as at the same hours of the day before.
    pub day_before: f32,
}

/// Trains on the first part of the series and forecasts the last one.
pub fn train() -> Result<Errors> {
    let series = temperatures(4000);
    let (past, future) = series.split_at(3400);
    let (x, y) = windows(past, 3)?;
    let (x_test, y_test) = windows(future, 3)?;

    let scale = Normalization::new().adapt(&x)?;
    let history = Input::new([HOURS, 1]);
    let h = (&scale).apply(&history)?;
    let h = GRU::new(32).apply(&h)?;
    let h = Dense::new(AHEAD).apply(&h)?;
    // What is learned is how far it goes from the last temperature.
    let last = history.get([Index::from(..), (-1).into()])?;
    let mut model = Model::new([&history], [&(h + last)?])?;
    let compile = Compile::new(Adam::new(0.01), "mse").metrics(["mae"]);
    model.compile_with(compile)?;
    let stopping = EarlyStopping::new("val_loss").patience(5).restore_best_weights(true);
    let fit = Fit::new(30, 32).validation_split(0.15).callback(stopping).verbose(Verbose::Silent);
    model.fit_with(&x, &y, fit)?;

    let network = model.evaluate(&x_test, &y_test)?.get("mae").unwrap_or(f64::NAN);
    let day_before = x_test.narrow(1, 0, AHEAD)?.squeeze(2)?;
    let day_before = (day_before - &y_test)?.abs()?.mean_all()?.to_scalar::<f32>()?;
    Ok(Errors { network, day_before })
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    let Errors { network, day_before } = train()?;
    println!("wrong by {network:.2} degrees; the day before by {day_before:.2}");
    Ok(())
}
