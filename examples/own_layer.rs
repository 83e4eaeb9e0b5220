//! How do I write a layer of my own? In plain candle code; candle differentiates it.
//!
//!     cargo run --release --example own_layer

use sconce::layers::initializers::Ones;
use sconce::prelude::*;
use std::sync::Arc;

/// `y = x + w tanh(x)`, with one weight for each of the last axis's values.
#[derive(Default)]
pub struct Bend {
    base: Base,
}

impl Configured for Bend {
    fn class_name(&self) -> &'static str {
        "Bend"
    }

    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }
}

impl Layer for Bend {
    fn output_dims(&self, inputs: &[Dims]) -> Result<Vec<Dims>> {
        Ok(inputs.to_vec())
    }

    fn weights(&self, inputs: &[Dims]) -> Result<Vec<WeightSpec>> {
        let spec = |x: &Dims| Ok(WeightSpec::new("w", &[x.last()?], Arc::new(Ones {})));
        inputs.iter().map(spec).collect()
    }

    fn call(
        &self,
        weights: &Weights<'_>,
        inputs: &[Tensor],
        _: &mut Context,
    ) -> Result<Vec<Tensor>> {
        let w = weights.get("w")?.tensor;
        inputs.iter().map(|x| Ok((x + x.tanh()?.broadcast_mul(w)?)?)).collect()
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
