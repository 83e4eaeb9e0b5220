//! ActivityRegularization: `y = x`, with a penalty on x.

use crate::regularizers::L1L2;
use crate::{Call, Layer};
use sconce_core::{Args, Config, Regularizer, Result, Spec, Tensor};

/// Adds `(l1 sum(|x|) + l2 sum(x^2)) / batch size` to the loss. x and y: any shape.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct ActivityRegularization {
    /// Factor of the absolute values.
    #[config(default = 0.0, range = "[0, inf)")]
    pub l1: f64,
    /// Factor of the squares.
    #[config(default = 0.0, range = "[0, inf)")]
    pub l2: f64,
}

impl Layer for ActivityRegularization {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("ActivityRegularization")?.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?.clone();
        let rows = x.dims().first().copied().unwrap_or(1).max(1) as f64;
        let penalty = L1L2::new(self.l1, self.l2).penalty(&x)?;
        call.add_loss((penalty / rows)?);
        Ok(vec![x])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        None
    }
}
