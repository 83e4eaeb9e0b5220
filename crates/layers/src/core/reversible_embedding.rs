//! ReversibleEmbedding: an embedding that also turns vectors into a number for each index.
//!
//! Press and Wolf, "Using the output embedding to improve language models", 2016.

use super::embedding::{embeddings, looked_up, no_padding};
use crate::constraints::Constraint;
use crate::fields::weight;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::{Call, Layer};
use sconce_core::{Arg, Args, Config, Result, Spec, Tensor, WeightSpec};
use sconce_ops::activations::{Activation, Tanh};

/// An [`Embedding`](crate::Embedding) which, called with `reverse=True`, gives logits:
/// `y = x transposed(embeddings)`, without bias.
///
/// x `[batch, ..]` of integers to y `[batch, .., output_dim]`; reversed, x `[batch, .., output_dim]` to
/// y `[batch, .., input_dim]`.
#[derive(Clone, Debug, Config)]
#[config(named, only(quantization_config = null, reverse_dtype = null))]
pub struct ReversibleEmbedding {
    /// Number of indices, the largest plus 1.
    #[config(range = "[1, inf)")]
    pub input_dim: usize,
    /// Length of the vectors.
    #[config(range = "[1, inf)")]
    pub output_dim: usize,
    /// Whether both directions use the same weights.
    #[config(default = true)]
    pub tie_weights: bool,
    /// First values of the vectors.
    #[config(default = "uniform")]
    pub embeddings_initializer: Initializer,
    /// Penalty on the vectors.
    pub embeddings_regularizer: Option<Regularizer>,
    /// Projection of the vectors after each update.
    pub embeddings_constraint: Option<Constraint>,
    /// Whether index 0 is padding.
    #[config(default = false)]
    pub mask_zero: bool,
    /// Logits become `cap tanh(logits / cap)`.
    #[config(range = "(0, inf)")]
    pub logit_soft_cap: Option<f64>,
}

fn is_reverse<T>(args: &Args<T>) -> bool {
    args.at(1, "reverse").and_then(Arg::json).and_then(|value| value.as_bool()).unwrap_or(false)
}

impl Layer for ReversibleEmbedding {
    fn arguments(&self) -> &'static [&'static str] {
        &["inputs", "reverse"]
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let given = x.flat().first().copied().cloned();
        let given = given.map_or_else(|| x.single("ReversibleEmbedding").cloned(), Ok)?;
        Ok(vec![match is_reverse(x) {
            true => given.with_dims(given.dims.with_last(self.input_dim)),
            false => looked_up(&given, self.output_dim),
        }])
    }

    fn weights(&self, _: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let mut specs = vec![embeddings(
            [self.input_dim, self.output_dim],
            &self.embeddings_initializer,
            &self.embeddings_regularizer,
            &self.embeddings_constraint,
        )?];
        if !self.tie_weights {
            let dims = [self.output_dim, self.input_dim];
            let initializer = &self.embeddings_initializer;
            let name = "reverse_embeddings";
            specs.push(weight(name, &dims, "embeddings", initializer, &None, &None)?);
        }
        Ok(specs)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.x(0)?;
        if !is_reverse(call.args()) {
            let y = sconce_ops::embedding(&call.weight("embeddings")?, x)?;
            let mask = self.mask_zero.then(|| no_padding(x)).transpose()?;
            call.set_masks(vec![mask]);
            return Ok(vec![y]);
        }
        let kernel = match call.find_weight("reverse_embeddings") {
            Some(kernel) => kernel,
            None => call.weight("embeddings")?.t()?.contiguous()?,
        };
        let logits = sconce_ops::dense::Dense::plain();
        let logits = sconce_ops::Operation::apply(logits, &[x, &kernel])?;
        call.set_masks(vec![None]);
        Ok(vec![match self.logit_soft_cap {
            Some(cap) => (Tanh::new().call(&(logits / cap)?)? * cap)?,
            None => logits,
        }])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn casts_integers(&self) -> bool {
        false
    }
}
