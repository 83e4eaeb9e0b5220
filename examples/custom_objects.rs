//! How do I keep a layer, a loss and a metric of my own in a model file? Derive their configuration,
//! give them a registered name, and load the file where they are known.
//!
//!     cargo run --release --example custom_objects

use sconce::layers::Layers;
use sconce::prelude::*;
use sconce::train::losses::LossFn;
use sconce::train::losses::{Losses, PerSample};
use sconce::train::metrics::{Metric, MetricFn, MetricState, Metrics, SampleValues, averaged};

/// `y = tanh(x) scale`.
#[derive(Clone, Debug, Config)]
#[config(package = "example")]
pub struct ScaledTanh {
    /// Largest value that comes out.
    #[config(default = 2.0)]
    pub scale: f64,
}

impl Layer for ScaledTanh {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("ScaledTanh")?.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![(call.single()?.tanh()? * self.scale)?])
    }
}

/// `mean(|y_true - y_pred|^power)` over the last axis.
#[derive(Clone, Debug, Config)]
#[config(package = "example", part = LossFn)]
pub struct PowerError {
    /// Exponent.
    #[config(default = 4.0)]
    pub power: f64,
}

impl Loss for PowerError {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let error = (y_pred - y_true)?.abs()?;
        Ok(error.powf(self.power)?.mean(1)?.into())
    }
}

/// The part of predictions nearer than a tolerance to the target.
#[derive(Clone, Debug, Config)]
#[config(package = "example", part = MetricFn)]
pub struct Near {
    /// How near.
    #[config(default = 0.5)]
    pub tolerance: f64,
}

impl Metric for Near {
    fn new_state(&self) -> Box<dyn MetricState> {
        averaged(self.clone())
    }
}

impl SampleValues for Near {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        let near = (y_pred - y_true)?.abs()?.lt(self.tolerance)?;
        Ok(near.to_dtype(y_pred.dtype())?.into())
    }
}

/// Everything of our own that files of this program hold.
pub fn objects() -> CustomObjects {
    CustomObjects::new()
        .register::<Layers, ScaledTanh>()
        .register::<Losses, PowerError>()
        .register::<Metrics, Near>()
}

/// Trains, saves, loads; the scores before and after.
pub fn save_and_load(path: &std::path::Path) -> Result<(Scores, Scores)> {
    let x: Vec<[f32; 1]> = (0..200).map(|i| [i as f32 / 100.0 - 1.0]).collect();
    let y: Vec<[f32; 1]> = x.iter().map(|[x]| [(2.0 * x).sin()]).collect();
    let mut model = Sequential::new()
        .add(Dense::new(8).activation("tanh").input_shape([1]))
        .add(Dense::new(1))
        .add(ScaledTanh::new().name("bounded"));
    let compile = Compile::new(Adam::new(0.01), PowerError::new().power(2.0));
    model.compile_with(compile.metrics([MetricFn::from(Near::new()), "mae".into()]))?;
    model.fit_with(&x, &y, Fit::new(20, 20).verbose(Verbose::Silent))?;
    model.save(path)?;
    let before = model.evaluate(&x, &y)?;

    let mut loaded = objects().scope(|| Model::load(path))?;
    Ok((before, loaded.evaluate(&x, &y)?))
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    let path = std::env::temp_dir().join("custom_objects.keras");
    let (before, after) = save_and_load(&path)?;
    println!("before {before}\nafter  {after}");
    Ok(())
}
