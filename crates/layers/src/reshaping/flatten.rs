//! Flatten: all axes after the batch axis become one.

use crate::layer::single;
use crate::{Base, Layer};
use sconce_core::{Context, Dims, Error, Result, Tensor, Weights};
use sconce_ops::reshape;
use serde::{Deserialize, Serialize};

/// x `[batch, a, b, ..]` to y `[batch, a*b*..]`; `[batch]` to `[batch, 1]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {
    /// "channels_last", or "channels_first" to move the second axis last before flattening.
    #[serde(default = "channels_last")]
    pub data_format: String,
    /// Name, trainable flag, input shape.
    #[serde(skip)]
    pub base: Base,
}

fn channels_last() -> String {
    "channels_last".to_string()
}

impl Default for Flatten {
    fn default() -> Self {
        Self { data_format: channels_last(), base: Base::default() }
    }
}

impl Flatten {
    /// A new one, channels last.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Layer for Flatten {
    fn check(&self) -> Result<()> {
        let known = ["channels_last", "channels_first"];
        if known.contains(&self.data_format.as_str()) {
            return Ok(());
        }
        let message = sconce_core::registry::unknown("data_format", &self.data_format, known);
        Err(Error::config("data_format", message))
    }

    fn output_dims(&self, inputs: &[Dims]) -> Result<Vec<Dims>> {
        let x = single(inputs, "Flatten")?;
        Ok(vec![Dims(vec![x.0.first().copied().flatten(), x.sample_len()])])
    }

    fn call(&self, _: &Weights<'_>, inputs: &[Tensor], _: &mut Context) -> Result<Vec<Tensor>> {
        let mut x = single(inputs, "Flatten")?.clone();
        let rank = x.rank();
        if self.data_format == "channels_first" && rank > 2 {
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

    fn outputs_probabilities(&self) -> Option<bool> {
        None
    }
}
