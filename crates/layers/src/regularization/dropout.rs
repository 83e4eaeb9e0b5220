//! Dropout: in training, sets a random part of the values to 0 and scales the rest.
//!
//! Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

use super::{noise_dims, stream};
use crate::{Call, Layer, seed};
use sconce_core::{Args, Config, Result, Spec, Tensor};

/// In training each value is 0 with probability `rate`, else divided by `1 - rate`; elsewhere
/// `y = x`. The mask is a function of the run's seed, the layer's name and the step, so a run
/// repeats bit for bit on any device.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct Dropout {
    /// Probability of 0, in 0..=1.
    #[config(range = "[0, 1]")]
    pub rate: f64,
    /// A seed of its own, instead of the run's.
    #[config(with = seed)]
    pub seed: Option<u64>,
    /// Shape of the mask, broadcast to the inputs; an axis of `None` takes the input's length.
    pub noise_shape: Option<Vec<Option<usize>>>,
}

impl Layer for Dropout {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("Dropout")?.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        if !call.training() || self.rate == 0.0 {
            return Ok(vec![x.clone()]);
        }
        let dims = noise_dims(x, &self.noise_shape)?;
        let stream = stream(call, self.seed);
        Ok(vec![sconce_ops::dropout(x, self.rate, &dims, &stream)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        None
    }
}
