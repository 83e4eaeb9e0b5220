//! Masking: leaves out steps that are padding.

use crate::{Call, Layer};
use sconce_core::{Args, Config, Error, Result, Spec, Tensor};

/// Masks the steps whose values all equal `mask_value`, and makes them 0. x and y `[batch, steps..,
/// features]`; the mask has all axes but the last.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct Masking {
    /// The value of padding.
    #[config(default = 0.0)]
    pub mask_value: f64,
}

impl Masking {
    fn counts(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.ne(self.mask_value)?.max(x.rank().saturating_sub(1))?)
    }
}

impl Layer for Masking {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("Masking")?;
        if x.dims.rank() < 2 {
            let message = format!("Masking takes inputs of at least 2 axes, got {}", x.dims);
            return Err(Error::layer("", message));
        }
        Ok(vec![x.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        let counts = self.counts(&x.detach())?.unsqueeze(x.rank() - 1)?;
        let counts = counts.broadcast_as(x.shape())?.contiguous()?;
        // Not a product: padding may be infinite.
        Ok(vec![counts.where_cond(x, &x.zeros_like()?)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn makes_masks(&self) -> bool {
        true
    }

    fn mask(&self, call: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(self.counts(&call.single()?.detach())?)])
    }
}
