//! A loss scale that changes: what surrounds the inner optimizer of a
//! [`LossScaleOptimizer`](super::LossScaleOptimizer).

use super::OptimizerState;
use sconce_core::{DType, Error, Gradients, Parameter, Result, Tensor};
use sconce_kernels::update;

/// How a loss scale changes.
#[derive(Clone, Copy, Debug)]
pub struct DynamicScale {
    /// Steps with finite gradients after which it is doubled.
    pub growth_steps: u64,
}

impl OptimizerState {
    /// The factor on the loss before the backward pass: `loss_scale_factor`, or a scale that changes.
    pub fn loss_scale(&self) -> Result<Option<f64>> {
        match (self.rule.dynamic_scale(), self.shared.as_slice()) {
            (Some(_), [_, scale]) => Ok(Some(f64::from(scale.to_scalar::<f32>()?))),
            _ => Ok(self.loss_scale_factor),
        }
    }

    /// Has the inner optimizer apply the gradients divided by the scale, or, if one is not finite, halves
    /// the scale.
    pub(super) fn apply_scaled(
        &mut self,
        dynamic: DynamicScale,
        trainable: &[&Parameter],
        gradients: &Gradients,
    ) -> Result<()> {
        let [counter, scale] = self.shared.as_slice() else {
            return Err(Error::training("a loss scale needs its count of steps and its value"));
        };
        let (now, steps) =
            (scale.to_scalar::<f32>()?, counter.to_dtype(DType::I64)?.to_scalar::<i64>()?);
        let finite = all_finite(&gradients.0)?;
        if finite {
            for inner in &mut self.inner {
                inner.apply_to(trainable, gradients, 1.0 / f64::from(now))?;
                self.iterations = inner.iterations;
            }
        }
        let grown =
            finite && u64::try_from(steps).is_ok_and(|steps| steps + 1 == dynamic.growth_steps);
        let (factor, steps) = match (finite, grown) {
            (false, _) => (0.5, 0),
            (true, true) => (2.0, 0),
            (true, false) => (1.0, steps + 1),
        };
        update::assign(scale, &(scale * factor)?)?;
        let steps = Tensor::new(steps, scale.device())?.to_dtype(counter.dtype())?;
        Ok(update::assign(counter, &steps)?)
    }
}

/// Whether all elements of the gradients are finite. Reads the device once.
fn all_finite(gradients: &[Option<Tensor>]) -> Result<bool> {
    let mut on_device = Vec::new();
    for gradient in gradients.iter().flatten() {
        if gradient.device().is_cpu() {
            if !update::sum_of_squares(gradient)?.is_finite() {
                return Ok(false);
            }
        } else {
            // 0, or NaN.
            on_device.push((gradient.detach() * 0.0)?.sum_all()?.to_dtype(DType::F32)?);
        }
    }
    match on_device.as_slice() {
        [] => Ok(true),
        sums => Ok(Tensor::stack(sums, 0)?.sum_all()?.to_scalar::<f32>()? == 0.0),
    }
}
