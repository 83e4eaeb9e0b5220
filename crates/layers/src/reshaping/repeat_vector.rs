//! RepeatVector: the same vector at each of several steps.

use crate::{Call, Layer};
use sconce_core::{Args, Config, Dims, Error, Result, Spec, Tensor};
use sconce_ops::resize::repeat;

/// x `[batch, features]` to y `[batch, n, features]`.
#[derive(Clone, Debug, Config)]
pub struct RepeatVector {
    /// Number of steps.
    #[config(range = "[1, inf)")]
    pub n: usize,
}

impl Layer for RepeatVector {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("RepeatVector")?;
        match x.dims.0.as_slice() {
            [batch, features] => Ok(vec![x.with_dims(Dims(vec![*batch, Some(self.n), *features]))]),
            _ => {
                let message = format!("RepeatVector takes inputs of 2 axes, got {}", x.dims);
                Err(Error::layer("", message))
            }
        }
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        let (rows, features) = x.dims2()?;
        Ok(vec![repeat(&sconce_ops::reshape(x, (rows, 1, features))?, 1, self.n)?])
    }

    fn casts_integers(&self) -> bool {
        false
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        None
    }
}
