//! The weighted mean over batches.

use super::total::{Total, expect_state};
use sconce_core::{DType, Error, Result, Tensor};
use sconce_kernels::with_slice;

/// A weighted mean over batches, as Keras's `Mean`. On the CPU it is accumulated in f64; on other
/// devices it stays there until it is read.
#[derive(Clone, Debug, Default)]
pub struct Mean {
    total: Total,
    weight: Total,
}

impl Mean {
    /// An empty mean.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a scalar that is the mean of `weight` samples.
    pub fn add(&mut self, value: &Tensor, weight: f64) -> Result<()> {
        let value = value.detach().to_dtype(DType::F32)?;
        if value.device().is_cpu() {
            self.total.add(f64::from(value.to_scalar::<f32>()?) * weight)?;
            return self.weight.add(weight);
        }
        self.total.add_tensor(&(value * weight)?)?;
        self.weight.add(weight)
    }

    /// Adds values `[batch, ..]`: the mean of each sample's values, weighted by `sample_weight` of shape
    /// `[batch]`, `[batch, 1]`, or of the first axes of the values.
    ///
    /// # Errors
    /// If `sample_weight` has another shape.
    pub fn update(&mut self, values: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let values = values.detach().to_dtype(DType::F32)?.contiguous()?;
        let rows = values.dims().first().copied().unwrap_or(1).max(1);
        let parts = match sample_weight {
            Some(weight) => parts(weight.dims(), values.dims())?,
            None => rows,
        };
        let width = (values.elem_count() / parts).max(1);
        let weight = match sample_weight {
            Some(weight) => Some(weight.detach().to_dtype(DType::F32)?.contiguous()?),
            None => None,
        };
        // Each sample counts once, however many weights it has.
        let share = rows as f64 / parts as f64;
        if !values.device().is_cpu() {
            let means = values.reshape((parts, width))?.mean(1)?;
            let weight = match weight {
                Some(weight) => weight.reshape(parts)?,
                None => means.ones_like()?,
            };
            self.total.add_tensor(&((means * &weight)?.sum_all()? * share)?)?;
            return self.weight.add_tensor(&(weight.sum_all()? * share)?);
        }
        let sum = |values: &[f32]| values.iter().map(|v| f64::from(*v)).sum::<f64>();
        let (mut total, mut weights) = (0.0, 0.0);
        with_slice(&values, |values| match &weight {
            None => {
                (total, weights) = (sum(values) / width as f64, rows as f64);
                Ok(())
            }
            Some(weight) => with_slice(weight, |weight| {
                for (values, weight) in values.chunks_exact(width).zip(weight) {
                    let weight = f64::from(*weight) * share;
                    total += weight * sum(values) / width as f64;
                    weights += weight;
                }
                Ok(())
            }),
        })?;
        self.total.add(total)?;
        self.weight.add(weights)
    }

    /// The mean so far; 0 if nothing was added, as in Keras. The only read of the device.
    pub fn result(&self) -> Result<f64> {
        let weight = self.weight.read()?;
        Ok(if weight == 0.0 { 0.0 } else { self.total.read()? / weight })
    }

    /// Empties it.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Total and weight, as scalars on the device they are on (f64 on the CPU).
    pub fn state(&self) -> Result<Vec<Tensor>> {
        Ok(vec![self.total.state()?, self.weight.state()?])
    }

    /// Continues exactly from a [`Mean::state`].
    ///
    /// # Errors
    /// If `state` is not that of a mean.
    pub fn restore(&mut self, state: &[Tensor]) -> Result<()> {
        let [total, weight] = expect_state(state)?;
        *self = Self { total: Total::from_state(total)?, weight: Total::from_state(weight)? };
        Ok(())
    }
}

/// The number of weights for values of this shape, after checking that the shapes match.
fn parts(weight: &[usize], values: &[usize]) -> Result<usize> {
    let count = weight.iter().product();
    let rows = values.first().copied().unwrap_or(1);
    let ones = weight.iter().rev().take_while(|axis| **axis == 1).count();
    let front = weight.get(..weight.len() - ones).unwrap_or(&[]);
    if (count == rows && weight.first() == Some(&rows)) || values.starts_with(front) {
        return Ok(std::cmp::max(count, 1));
    }
    Err(Error::data(format!(
        "sample_weight has shape {weight:?}, the values of this metric have shape {values:?}; give one \
         weight a row, or weights of that shape"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_core::Device;

    #[test]
    fn weights_of_each_shape() {
        let values = Tensor::new(&[[1f32, 3.0], [5.0, 9.0]], &Device::Cpu).unwrap();
        let run = |weight: Option<Tensor>| {
            let mut mean = Mean::new();
            mean.update(&values, weight.as_ref()).unwrap();
            mean.result().unwrap()
        };
        let weight =
            |w: &[f32], dims: &[usize]| Some(Tensor::from_slice(w, dims, &Device::Cpu).unwrap());
        assert_eq!(run(None), 4.5);
        assert_eq!(run(weight(&[3.0, 1.0], &[2])), 13.0 / 4.0);
        assert_eq!(run(weight(&[3.0, 1.0], &[2, 1])), 13.0 / 4.0);
        assert_eq!(run(weight(&[1.0, 0.0, 0.0, 1.0], &[2, 2])), 5.0);
        let wrong = Tensor::new(&[1f32, 2.0, 3.0], &Device::Cpu).unwrap();
        let error = Mean::new().update(&values, Some(&wrong)).unwrap_err().to_string();
        assert!(error.contains("sample_weight has shape [3]"), "{error}");
        assert_eq!(Mean::new().result().unwrap(), 0.0);
    }
}
