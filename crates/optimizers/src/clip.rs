//! Clipping of gradients and decay of weights: what happens to both before the update rule, as
//! numbers for the fused kernels and as tensor operations elsewhere.

use super::Common;
use sconce_core::{Error, Gradients, Result, Tensor};
use sconce_kernels::update;

/// What a fused kernel does to each element before the rule.
#[derive(Clone, Copy, Debug)]
pub struct Prepare {
    scale: f32,
    limit: f32,
    decay: f32,
}

impl Prepare {
    /// Whether a weight whose gradient is 0 is changed by nothing but the rule.
    pub(super) fn keeps_zero(self) -> bool {
        self.scale.is_finite() && self.decay == 0.0
    }

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
    norm: Option<f64>,
    global: Option<f64>,
    limit: Option<f64>,
}

impl Clip {
    pub fn new(common: &Common, scale: f64) -> Self {
        // As in Keras, a bound of 0 bounds nothing.
        let bound = |value: Option<f64>| value.filter(|v| *v > 0.0);
        Self {
            scale,
            norm: bound(common.clipnorm),
            global: bound(common.global_clipnorm),
            limit: bound(common.clipvalue),
        }
    }

    /// Multiplies the scale by the factor of `global_clipnorm`.
    pub fn globally<'a>(mut self, gradients: impl Iterator<Item = &'a Tensor>) -> Result<Self> {
        if let Some(largest) = self.global {
            self.scale *= factor(norm(gradients)? * self.scale, largest);
        }
        Ok(self)
    }

    /// For the fused kernel of one weight, of which `decay` is subtracted.
    pub fn prepare(&self, gradient: &Tensor, decay: f64) -> Result<Prepare> {
        let mut scale = self.scale;
        if let Some(largest) = self.norm {
            scale *= factor(norm([gradient])? * self.scale, largest);
        }
        let limit = self.limit.unwrap_or(f64::INFINITY) as f32;
        Ok(Prepare { scale: scale as f32, limit, decay: decay as f32 })
    }

    /// The clipped gradients as new tensors, without reading the device.
    pub fn composed(&self, gradients: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let each = |f: &dyn Fn(&Tensor) -> Result<Tensor>, all: &[Option<Tensor>]| {
            all.iter().map(|g| g.as_ref().map(f).transpose()).collect::<Result<Vec<_>>>()
        };
        let scaled = each(&|g| Ok((g.detach() * self.scale)?), gradients)?;
        if let Some(largest) = self.norm {
            return each(&|g| Ok(g.broadcast_mul(&factor_on_device(&[g], largest)?)?), &scaled);
        }
        if let Some(limit) = self.limit {
            return each(&|g| Ok(g.clamp(-limit, limit)?), &scaled);
        }
        if let Some(largest) = self.global {
            let all: Vec<&Tensor> = scaled.iter().flatten().collect();
            if !all.is_empty() {
                let factor = factor_on_device(&all, largest)?;
                return each(&|g| Ok(g.broadcast_mul(&factor)?), &scaled);
            }
        }
        Ok(scaled)
    }
}

/// Scales all gradients together so that their norm is at most `max_norm`, and returns the norm they
/// had before. PyTorch's `clip_grad_norm_`, MLX's `clip_grad_norm`, Keras's `global_clipnorm`.
///
/// As in Keras, one gradient that is not finite makes all of them NaN; the returned norm tells.
///
/// # Errors
/// If `max_norm` is negative or not finite.
pub fn clip_grad_norm(gradients: &mut Gradients, max_norm: f64) -> Result<f64> {
    if !(max_norm >= 0.0 && max_norm.is_finite()) {
        let message = format!("must be a finite number of at least 0, found {max_norm}");
        return Err(Error::config("max_norm", message));
    }
    let norm = norm(gradients.0.iter().flatten())?;
    let factor = factor(norm, max_norm);
    if factor != 1.0 {
        for gradient in gradients.0.iter_mut().flatten() {
            *gradient = (&*gradient * factor)?;
        }
    }
    Ok(norm)
}

/// The norm of all gradients together. Reads the device.
pub fn gradient_norm(gradients: &Gradients) -> Result<f64> {
    norm(gradients.0.iter().flatten())
}

/// The norm of several gradients together, in f64. Reads the device.
fn norm<'a>(gradients: impl IntoIterator<Item = &'a Tensor>) -> Result<f64> {
    let squares: candle_core::Result<f64> = gradients.into_iter().map(update::sum_of_squares).sum();
    Ok(squares?.sqrt())
}

/// The factor that reduces a norm to the largest allowed; NaN if the norm is not finite, so that an
/// infinite gradient is not taken for a small one.
fn factor(norm: f64, largest: f64) -> f64 {
    match norm {
        _ if !norm.is_finite() => f64::NAN,
        _ if norm <= largest => 1.0,
        _ => largest / norm,
    }
}

/// [`factor`] of the norm of several gradients together, computed on their device. They are divided
/// by the largest magnitude first, since squares of finite values may overflow.
fn factor_on_device(gradients: &[&Tensor], largest: f64) -> Result<Tensor> {
    let all = |f: &dyn Fn(&Tensor) -> candle_core::Result<Tensor>| -> Result<Tensor> {
        let each: candle_core::Result<Vec<_>> = gradients.iter().map(|g| f(g)).collect();
        Ok(Tensor::stack(&each?, 0)?)
    };
    let top = all(&|g| g.abs()?.max_all())?.max_all()?.maximum(f64::from(f32::MIN_POSITIVE))?;
    let squares = all(&|g| g.broadcast_div(&top)?.sqr()?.sum_all())?.sum_all()?;
    let norm = (squares.sqrt()? * top)?;
    // 0 for finite norms, else NaN.
    let valid = (&norm * 0.0)?;
    Ok(((norm.maximum(largest)?.recip()? * largest)? + valid)?)
}
