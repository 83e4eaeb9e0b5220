//! The weighted sum over batches.

use super::total::{Total, expect_state};
use crate::losses::reduce::weigh;
use sconce_core::{DType, Result, Tensor};
use sconce_ops::weighted_sum;

/// A weighted sum over batches, as Keras's `Sum`, for metrics of your own. On the CPU it is
/// accumulated in f64; on other devices it stays there until it is read.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    total: Total,
}

impl Sum {
    /// An empty sum.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds values `[batch, ..]`, multiplied by `sample_weight`: `[batch]`, `[batch, 1]`, or of the
    /// shape of the values.
    ///
    /// # Errors
    /// If `sample_weight` has another shape.
    pub fn update(&mut self, values: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let values = values.detach().to_dtype(DType::F32)?;
        let sum = weighted_sum(&weigh(values.into(), sample_weight)?, None, 1.0)?;
        if sum.device().is_cpu() {
            return self.total.add(f64::from(sum.to_scalar::<f32>()?));
        }
        self.total.add_tensor(&sum)
    }

    /// The sum so far. The only read of the device.
    pub fn result(&self) -> Result<f64> {
        self.total.read()
    }

    /// Empties it.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The sum, as a scalar on the device it is on (f64 on the CPU).
    pub fn state(&self) -> Result<Vec<Tensor>> {
        Ok(vec![self.total.state()?])
    }

    /// Continues exactly from a [`Sum::state`].
    ///
    /// # Errors
    /// If `state` is not that of a sum.
    pub fn restore(&mut self, state: &[Tensor]) -> Result<()> {
        let [total] = expect_state(state)?;
        self.total = Total::from_state(total)?;
        Ok(())
    }
}
