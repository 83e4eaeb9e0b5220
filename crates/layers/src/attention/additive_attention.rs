//! AdditiveAttention: `y = softmax(sum(w tanh(q + k))) v`.

use super::LISTED;
use super::attention::{apply, inputs, mask, outputs, summed, tanh};
use crate::{Call, Layer, seed};
use sconce_core::{Args, Config, Part, Result, Spec, Tensor, Value, WeightSpec};
use sconce_ops::arithmetic::{Operator, arithmetic};

/// Additive attention (Bahdanau et al., "Neural machine translation by jointly learning to align and
/// translate", 2014). It is called as [`Attention`](super::Attention), with the same flags and masks:
/// query `[batch, queries, dim]`, value `[batch, keys, value_dim]`, key `[batch, keys, dim]`; y
/// `[batch, queries, value_dim]`.
///
/// ```text
/// scores = sum(w tanh(query + key))
/// y = softmax(scores) value
/// ```
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct AdditiveAttention {
    /// Whether features are weighted by a weight `[dim]`, w.
    #[config(default = true)]
    pub use_scale: bool,
    /// The part of the scores that is dropped in training.
    #[config(default = 0.0, range = "[0, 1]")]
    pub dropout: f64,
    /// A seed of its own for dropout, instead of the run's.
    #[config(with = seed)]
    pub seed: Option<u64>,
}

impl Layer for AdditiveAttention {
    fn arguments(&self) -> &'static [&'static str] {
        LISTED
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        outputs(x, "AdditiveAttention")
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        if !self.use_scale {
            return Ok(Vec::new());
        }
        let [query, ..] = inputs(x, "AdditiveAttention")?;
        let first: crate::initializers::Initializer =
            Part::from(crate::initializers::GlorotUniform::new());
        Ok(vec![WeightSpec::new("scale", &[query.dims.last()?], first.get()?.clone())])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let [query, value, key] =
            inputs(call.args(), "AdditiveAttention")?.map(|value: &Value| value.tensor.clone());
        let scale = call.find_weight("scale");
        let scores = summed(&query, &key, |sums| {
            Ok(match &scale {
                Some(scale) => arithmetic(Operator::Multiply, &tanh(sums)?, scale)?,
                None => tanh(sums)?,
            })
        })?;
        apply(call, &scores, &value, (self.dropout, self.seed))
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn mask(&self, call: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        Ok(mask(call))
    }
}
