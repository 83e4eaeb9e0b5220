//! Clipping of gradients and decay of weights: what happens to both before the update rule, as
//! numbers for the fused kernels and as tensor operations elsewhere.

use super::Common;
use sconce_core::{Result, Tensor};
use sconce_kernels::update;

/// What a fused kernel does to each element before the rule.
#[derive(Clone, Copy, Debug)]
pub struct Prepare {
    scale: f32,
    limit: f32,
    decay: f32,
}

impl Prepare {
    /// The clipped gradient.
    #[inline(always)]
    pub fn gradient(self, g: f32) -> f32 {
        let g = g * self.scale;
        let g = if g < -self.limit { -self.limit } else { g };
        if g > self.limit { self.limit } else { g }
    }

    /// The decayed weight.
    #[inline(always)]
    pub fn weight(self, w: f32) -> f32 {
        w - w * self.decay
    }
}

/// Everything between the gradients of a batch and the rule.
#[derive(Clone, Copy)]
pub(super) struct Clip {
    /// Factor on every gradient (loss scale, accumulated batches).
    pub scale: f64,
    /// Part of the weight that is taken away.
    pub decay: f64,
    norm: Option<f64>,
    global: Option<f64>,
    limit: Option<f64>,
}

impl Clip {
    pub fn new(common: &Common, rate: f64, scale: f64) -> Self {
        // As in Keras, a bound of 0 bounds nothing.
        let bound = |value: Option<f64>| value.filter(|v| *v > 0.0);
        Self {
            scale,
            decay: rate * common.weight_decay.unwrap_or(0.0),
            norm: bound(common.clipnorm),
            global: bound(common.global_clipnorm),
            limit: bound(common.clipvalue),
        }
    }

    /// Takes `global_clipnorm` into the scale.
    pub fn globally<'a>(mut self, gradients: impl Iterator<Item = &'a Tensor>) -> Result<Self> {
        if let Some(largest) = self.global {
            let squares: candle_core::Result<f64> = gradients.map(update::sum_of_squares).sum();
            let norm = squares?.sqrt() * self.scale;
            // As in Keras, one infinite gradient makes all of them NaN.
            self.scale *= if norm.is_finite() { factor(norm, largest) } else { f64::NAN };
        }
        Ok(self)
    }

    /// For the fused kernel of one weight.
    pub fn prepare(&self, gradient: &Tensor) -> Result<Prepare> {
        let mut scale = self.scale;
        if let Some(largest) = self.norm {
            scale *= factor(update::sum_of_squares(gradient)?.sqrt() * self.scale, largest);
        }
        let limit = self.limit.unwrap_or(f64::INFINITY) as f32;
        Ok(Prepare { scale: scale as f32, limit, decay: self.decay as f32 })
    }

    /// The clipped gradients as new tensors, without reading the device.
    pub fn composed(&self, gradients: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let each = |f: &dyn Fn(&Tensor) -> Result<Tensor>, all: &[Option<Tensor>]| {
            all.iter().map(|g| g.as_ref().map(f).transpose()).collect::<Result<Vec<_>>>()
        };
        let scaled = each(&|g| Ok((g.detach() * self.scale)?), gradients)?;
        if let Some(largest) = self.norm {
            return each(&|g| Ok(g.broadcast_mul(&factor_of(&squares(g)?, largest)?)?), &scaled);
        }
        if let Some(limit) = self.limit {
            return each(&|g| Ok(g.clamp(-limit, limit)?), &scaled);
        }
        if let Some(largest) = self.global {
            let sums = scaled.iter().flatten().map(squares).collect::<Result<Vec<_>>>()?;
            if !sums.is_empty() {
                let factor = factor_of(&Tensor::stack(&sums, 0)?.sum_all()?, largest)?;
                return each(&|g| Ok(g.broadcast_mul(&factor)?), &scaled);
            }
        }
        Ok(scaled)
    }
}

/// The factor that brings a norm down to the largest allowed.
fn factor(norm: f64, largest: f64) -> f64 {
    if norm <= largest { 1.0 } else { largest / norm }
}

fn squares(g: &Tensor) -> Result<Tensor> {
    Ok(g.sqr()?.sum_all()?)
}

/// [`factor`] of a sum of squares, on its device.
fn factor_of(squares: &Tensor, largest: f64) -> Result<Tensor> {
    Ok((squares.sqrt()?.maximum(largest)?.recip()? * largest)?)
}
