//! How do I write a layer of my own? In plain candle code; candle differentiates it.
//!
//!     cargo run --release --example custom_layer

use sconce::layers::initializers::Ones;
use sconce::prelude::*;
use std::sync::Arc;

/// `y = x + w tanh(x)`, with one weight for each of the last axis's values.
#[derive(Default)]
pub struct Bend {}

impl Configured for Bend {
    fn class_name(&self) -> &'static str {
        "Bend"
    }
}

impl Layer for Bend {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("Bend")?.clone()])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let width = x.single("Bend")?.dims.last()?;
        Ok(vec![WeightSpec::new("w", &[width], Arc::new(Ones {}))])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let (x, w) = (call.single()?, call.weight("w")?);
        Ok(vec![(x + x.tanh()?.broadcast_mul(&w)?)?])
    }
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    let x: Vec<[f32; 1]> = (0..200).map(|i| [i as f32 / 100.0 - 1.0]).collect();
    let y: Vec<[f32; 1]> = x.iter().map(|[x]| [(3.0 * x).sin()]).collect();
    let mut model =
        Sequential::new().add(Dense::new(16)).add(Bend::default().name("bend")).add(Dense::new(1));
    model.compile(Adam::new(0.01), "mse")?;
    let history = model.fit_with(&x, &y, Fit::new(40, 20).verbose(Verbose::Silent))?;
    println!("{}\nloss {:.4}", model.summary()?, history.last("loss").unwrap_or_default());
    Ok(())
}
