//! Softmax: `y_i = e^(x_i) / sum_j e^(x_j)` along an axis.

use crate::Axes;
use crate::{Call, Layer};
use sconce_core::{Args, Config, DType, Error, Result, Spec, Tensor};
use sconce_ops::Activation;
use sconce_ops::{activations, reshape};

/// Probabilities from logits. x and y: any shape. Where a mask is 0 the result is 0; it must broadcast
/// to x.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct Softmax {
    /// The axes whose values add up to 1; negative ones count from the end.
    #[config(default = Axes::One(-1))]
    pub axis: Axes,
}

/// Softmax over several axes at once.
fn over(x: &Tensor, axes: &[usize]) -> Result<Tensor> {
    let softmax = activations::Softmax::new();
    let others: Vec<usize> = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
    let order: Vec<usize> = others.iter().chain(axes).copied().collect();
    let moved = x.permute(order.as_slice())?.contiguous()?;
    let width: usize = moved.dims().iter().skip(others.len()).product();
    let rows = reshape(&moved, (moved.elem_count() / width.max(1), width))?;
    let y = reshape(&softmax.call(&rows)?, moved.shape())?;
    let mut back = vec![0; order.len()];
    for (position, axis) in order.iter().enumerate() {
        if let Some(place) = back.get_mut(*axis) {
            *place = position;
        }
    }
    Ok(y.permute(back)?.contiguous()?)
}

impl Layer for Softmax {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("Softmax")?;
        self.axis.positions(x.dims.rank())?;
        Ok(vec![x.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let mut x = call.single()?.clone();
        let axes = self.axis.positions(x.rank())?;
        let mask = match call.mask(0) {
            Some(mask) => {
                let counts = match mask.dtype().is_float() {
                    true => mask.gt(0.5)?,
                    false => mask.ne(&mask.zeros_like()?)?,
                };
                let fits = counts.broadcast_as(x.shape()).map_err(|_| {
                    let message = format!(
                        "a mask of shape {:?} does not broadcast to inputs of shape {:?}",
                        mask.dims(),
                        x.dims()
                    );
                    Error::layer("", message)
                })?;
                Some(fits.contiguous()?)
            }
            None => None,
        };
        if let Some(mask) = &mask {
            let low = if x.dtype() == DType::F16 { -3e4 } else { -1e9 };
            let low = x.zeros_like()?.affine(1.0, low)?;
            x = mask.where_cond(&x, &low)?;
        }
        let y = match axes.as_slice() {
            [one] => activations::Softmax { axis: *one as i64 }.call(&x)?,
            several => over(&x, several)?,
        };
        Ok(vec![match &mask {
            Some(mask) => mask.where_cond(&y, &y.zeros_like()?)?,
            None => y,
        }])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        Some(true)
    }
}
