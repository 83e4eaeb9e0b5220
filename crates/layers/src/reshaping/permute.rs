//! Permute: the axes of samples in another order.

use crate::{Call, Layer};
use sconce_core::{Args, Config, Dims, Error, Result, Spec, Tensor};

/// Axis `i` of y is axis `dims[i - 1]` of x, for the axes after the batch axis: `[2, 1]` exchanges the
/// first two.
#[derive(Clone, Debug, Config)]
#[config(no_new)]
pub struct Permute {
    /// The axes of x in the order of y, counted from 1.
    pub dims: Vec<usize>,
}

impl Permute {
    /// The axes of samples in another order, counted from 1.
    pub fn new(dims: impl AsRef<[usize]>) -> Self {
        Self { dims: dims.as_ref().to_vec() }
    }

    fn check_rank(&self, rank: usize) -> Result<()> {
        if rank != self.dims.len() + 1 {
            let message = format!(
                "Permute of {:?} takes inputs of {} axes, got {rank}",
                self.dims,
                self.dims.len() + 1
            );
            return Err(Error::layer("", message));
        }
        Ok(())
    }
}

impl Layer for Permute {
    fn check(&self) -> Result<()> {
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(1..=self.dims.len()) {
            let message = format!("must be the axes 1, 2, .. in some order, found {:?}", self.dims);
            return Err(Error::config("dims", message));
        }
        Ok(())
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("Permute")?;
        self.check_rank(x.dims.rank())?;
        let axis = |axis: &usize| x.dims.0.get(*axis).copied().flatten();
        let batch = x.dims.0.first().copied().flatten();
        let dims = std::iter::once(batch).chain(self.dims.iter().map(axis)).collect();
        Ok(vec![x.with_dims(Dims(dims))])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        self.check_rank(x.rank())?;
        let order: Vec<usize> = std::iter::once(0).chain(self.dims.iter().copied()).collect();
        Ok(vec![x.permute(order)?.contiguous()?])
    }

    fn casts_integers(&self) -> bool {
        false
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        None
    }
}
