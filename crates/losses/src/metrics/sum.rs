//! The weighted sum that grows over batches.

use crate::losses::reduce::weigh;
use sconce_core::{DType, Result, Tensor};
use sconce_ops::weighted_sum;

/// A weighted sum that grows, as Keras's `Sum`, for metrics of your own. On the CPU it is kept in
/// f64; on other devices it stays there until it is read.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    total: f64,
    on_device: Option<Tensor>,
}

impl Sum {
    /// A sum of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds values `[batch, ..]`, multiplied by `sample_weight`: `[batch]`, `[batch, 1]`, or of the
    /// shape of the values.
    ///
    /// # Errors
    /// Weights of another shape.
    pub fn update(&mut self, values: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let values = values.detach().to_dtype(DType::F32)?;
        let sum = weighted_sum(&weigh(values.into(), sample_weight)?, None, 1.0)?;
        if sum.device().is_cpu() {
            self.total += f64::from(sum.to_scalar::<f32>()?);
            return Ok(());
        }
        self.on_device = Some(match &self.on_device {
            Some(total) => (total + sum)?,
            None => sum,
        });
        Ok(())
    }

    /// The sum so far. The only read of the device.
    pub fn result(&self) -> Result<f64> {
        Ok(match &self.on_device {
            Some(total) => self.total + f64::from(total.to_scalar::<f32>()?),
            None => self.total,
        })
    }

    /// Starts over.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}
