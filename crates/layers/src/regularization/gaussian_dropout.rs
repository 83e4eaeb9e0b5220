//! GaussianDropout: in training, `y = x n`, where each n is normal around 1.
//!
//! Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

use super::{normal, stream};
use crate::{Call, Layer, seed};
use sconce_core::{Args, Config, Result, Spec, Tensor};
use sconce_ops::arithmetic::{Operator, arithmetic};

/// In training each value is multiplied by a normal number of mean 1 and standard deviation
/// `sqrt(rate / (1 - rate))`, as that of dropout; elsewhere `y = x`. x and y: any shape.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct GaussianDropout {
    /// Dropout's probability, in 0..1.
    #[config(range = "[0, 1)")]
    pub rate: f64,
    /// A seed of its own, instead of the run's.
    #[config(with = seed)]
    pub seed: Option<u64>,
}

impl Layer for GaussianDropout {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("GaussianDropout")?.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        if !call.training() || self.rate == 0.0 {
            return Ok(vec![x.clone()]);
        }
        let deviation = (self.rate / (1.0 - self.rate)).sqrt();
        let noise = normal(x, 1.0, deviation, stream(call, self.seed))?;
        Ok(vec![arithmetic(Operator::Multiply, x, &noise)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        None
    }
}
