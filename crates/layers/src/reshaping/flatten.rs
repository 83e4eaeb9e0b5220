//! Flatten: all axes after the batch axis become one.

use crate::{Call, DataFormat, Layer};
use sconce_core::{Args, Config, Dims, Result, Spec, Tensor};
use sconce_ops::reshape;

/// x `[batch, a, b, ..]` to y `[batch, a*b*..]`; `[batch]` to `[batch, 1]`.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct Flatten {
    /// "channels_last", or "channels_first" to move the second axis last before flattening.
    #[config(default)]
    pub data_format: DataFormat,
}

impl Layer for Flatten {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = x.single("Flatten")?;
        let dims = vec![x.dims.0.first().copied().flatten(), x.dims.sample_len()];
        Ok(vec![x.with_dims(Dims(dims))])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let mut x = call.single()?.clone();
        let rank = x.rank();
        if self.data_format == DataFormat::ChannelsFirst && rank > 2 {
            let order: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
            x = x.permute(order)?.contiguous()?;
        }
        if rank == 1 {
            return Ok(vec![reshape(&x, (x.elem_count(), 1))?]);
        }
        let (rows, width) =
            (x.dims().first().copied().unwrap_or(0), x.dims().iter().skip(1).product::<usize>());
        Ok(vec![reshape(&x, (rows, width))?])
    }

    fn casts_integers(&self) -> bool {
        false
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        None
    }
}
