//! AlphaDropout: dropout that keeps mean and variance, for networks of `selu` units.
//!
//! Klambauer et al., "Self-normalizing neural networks", 2017.

use super::{noise_dims, stream};
use crate::{Call, Layer, seed};
use sconce_core::{Args, Config, DType, Result, Spec, Tensor};
use sconce_ops::arithmetic::{Operator, arithmetic};

/// What values that are dropped become: the limit of `selu` at minus infinity, `-scale alpha`.
const DROPPED: f64 = -1.758_099_340_847_376_6;

/// In training each value becomes `-1.7581` with probability `rate`, and all are then brought back to
/// the mean and variance they had: `y = a x + b`, `a = ((1 - rate) (1 + rate 1.7581^2))^(-1/2)`, `b =
/// 1.7581 a rate`. Elsewhere `y = x`. x and y: any shape.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct AlphaDropout {
    /// Probability of being dropped, in 0..1.
    #[config(range = "[0, 1)")]
    pub rate: f64,
    /// Shape of the mask, broadcast to the inputs; an axis of `None` takes the input's length.
    pub noise_shape: Option<Vec<Option<usize>>>,
    /// A seed of its own, instead of the run's.
    #[config(with = seed)]
    pub seed: Option<u64>,
}

impl Layer for AlphaDropout {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("AlphaDropout")?.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        if !call.training() || self.rate == 0.0 {
            return Ok(vec![x.clone()]);
        }
        let dims = noise_dims(x, &self.noise_shape)?;
        let ones = Tensor::ones(dims.as_slice(), DType::F32, x.device())?;
        let dropped = sconce_ops::dropout(&ones, self.rate, &dims, &stream(call, self.seed))?;
        let kept = dropped.ne(0f32)?.to_dtype(x.dtype())?;
        let a = ((1.0 - self.rate) * (1.0 + self.rate * DROPPED.powi(2))).powf(-0.5);
        let b = -a * DROPPED * self.rate;
        let scale = (&kept * a)?;
        let shift = kept.affine(-a * DROPPED, a * DROPPED + b)?;
        let y = arithmetic(Operator::Multiply, x, &scale.broadcast_as(x.shape())?.contiguous()?)?;
        let shift = shift.broadcast_as(x.shape())?.contiguous()?;
        Ok(vec![arithmetic(Operator::Add, &y, &shift)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerEntry;
    use sconce_core::{Context, Device};

    #[test]
    fn mean_and_variance_stay() {
        let mut stream = sconce_core::Stream::named(1, "x");
        let values: Vec<f32> = (0..40_000).map(|_| stream.normal() as f32).collect();
        let x = Tensor::from_vec(values, (200, 200), &Device::Cpu).unwrap();
        let entry = LayerEntry::from(AlphaDropout::new(0.3));
        let y = crate::run(&entry, &[&x], &mut Context::training(0, 0)).unwrap().remove(0);
        let values = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / 40_000.0;
        let variance =
            values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / 40_000.0;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        // What is dropped has one value.
        let a = (0.7 * (1.0 + 0.3 * DROPPED * DROPPED)).powf(-0.5);
        let lowest = (a * DROPPED - a * DROPPED * 0.3) as f32;
        let dropped = values.iter().filter(|v| (**v - lowest).abs() < 1e-5).count();
        assert!((dropped as f64 / 40_000.0 - 0.3).abs() < 0.01, "{dropped}");
        // One mask for all rows.
        let rows = AlphaDropout::new(0.5).noise_shape(vec![Some(1), None]);
        let entry = LayerEntry::from(rows);
        let ones = x.ones_like().unwrap();
        let y = crate::run(&entry, &[&ones], &mut Context::training(0, 0)).unwrap().remove(0);
        let y = y.to_vec2::<f32>().unwrap();
        assert!(y.iter().all(|row| *row == y[0]) && y[0].iter().any(|v| *v != y[0][0]));
    }
}
