//! Reshape: another shape for each sample.

use crate::{Call, Layer};
use sconce_core::{Args, Config, Dims, Error, Result, Spec, Tensor};
use sconce_ops::reshape;

/// x `[batch, ..]` to y `[batch, target_shape..]`.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct Reshape {
    /// Shape of one sample; one axis may be -1, which takes what is left.
    #[config(range = "[-1, inf)")]
    pub target_shape: Vec<i64>,
}

impl Reshape {
    /// To a shape of one sample (without the batch axis); one axis may be -1.
    pub fn new(target_shape: impl AsRef<[i64]>) -> Self {
        Self { target_shape: target_shape.as_ref().to_vec() }
    }

    /// The target for samples of `len` values (`None`: not known yet).
    fn resolve(&self, len: Option<usize>) -> Result<Vec<Option<usize>>> {
        let mut axes = self.target_shape.iter().filter(|a| **a >= 0).map(|a| *a as usize);
        let known = axes.try_fold(1usize, |known, axis| known.checked_mul(axis));
        let known = known.ok_or_else(|| {
            let message = format!("its target_shape {:?} is too large", self.target_shape);
            Error::layer("", message)
        })?;
        let open = self.target_shape.contains(&-1);
        if let Some(len) = len {
            let fits = if open { known > 0 && len.is_multiple_of(known) } else { known == len };
            if !fits {
                return Err(Error::layer(
                    "",
                    format!(
                        "a sample of {len} values cannot be reshaped to {:?} ({known} values{})",
                        self.target_shape,
                        if open { " times the open axis" } else { "" }
                    ),
                ));
            }
        }
        let rest = len.map(|len| len / known.max(1));
        Ok(self
            .target_shape
            .iter()
            .map(|a| if *a < 0 { rest } else { Some(*a as usize) })
            .collect())
    }
}

impl Layer for Reshape {
    fn check(&self) -> Result<()> {
        let open = self.target_shape.iter().filter(|a| **a == -1).count();
        if open > 1 {
            let message = format!("at most one axis may be -1, got {:?}", self.target_shape);
            return Err(Error::config("target_shape", message));
        }
        Ok(())
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("Reshape")?;
        let batch = x.dims.0.first().copied().flatten();
        let sample = self.resolve(x.dims.sample_len())?;
        Ok(vec![x.with_dims(Dims(std::iter::once(batch).chain(sample).collect()))])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        let (rows, width) =
            (x.dims().first().copied().unwrap_or(0), x.dims().iter().skip(1).product());
        let sample = self.resolve(Some(width))?;
        let shape: Vec<usize> = [rows].into_iter().chain(sample.into_iter().flatten()).collect();
        Ok(vec![reshape(x, shape)?])
    }

    fn casts_integers(&self) -> bool {
        false
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_overflow_are_refused() {
        let x = Args::one(Spec::float(Dims::batch_of(&[4])));
        for target in [&[1 << 33, 1 << 33, -1][..], &[i64::MAX, 3]] {
            let error = Reshape::new(target).outputs(&x).unwrap_err().to_string();
            assert!(error.contains("is too large"), "{error}");
        }
    }
}
