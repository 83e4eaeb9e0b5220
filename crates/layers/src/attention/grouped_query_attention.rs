//! GroupQueryAttention: heads of queries that share keys and values.

use super::heads::{Heads, Projections, TO_HEADS, gated, inputs, output_mask, project};
use super::{NAMED, is_set};
use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::{Call, Layer, seed};
use sconce_core::{Args, Config, Dims, Error, Result, Spec, Tensor, Value, WeightSpec};

/// Grouped-query attention (Ainslie et al., "GQA: training generalized multi-query transformer models
/// from multi-head checkpoints", 2023; Keras's class `GroupedQueryAttention`). Called as
/// [`MultiHeadAttention`](super::MultiHeadAttention), with the same flags and masks: query `[batch,
/// queries, dim]`, value `[batch, keys, dim]` and, if it is another, key `[batch, keys, features]`; y
/// `[batch, queries, dim]`.
///
/// Heads of queries that stand together share one head of keys and values, so that fewer of those are
/// computed: `num_query_heads / num_key_value_heads` each.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct GroupQueryAttention {
    /// The width of each head.
    #[config(range = "[1, inf)")]
    pub head_dim: usize,
    /// The number of heads of queries.
    #[config(range = "[1, inf)")]
    pub num_query_heads: usize,
    /// The number of heads of keys and values, a divisor of the heads of queries.
    #[config(range = "[1, inf)")]
    pub num_key_value_heads: usize,
    /// Whether projections have biases.
    #[config(default = true)]
    pub use_bias: bool,
    /// Whether what comes of the heads is multiplied with the sigmoid of a projection of the query.
    #[config(default = false)]
    pub use_gate: bool,
    /// Queries see only keys that are nearer than this.
    #[config(range = "[1, inf)")]
    pub sliding_window: Option<usize>,
    /// The part of the scores that is dropped in training.
    #[config(default = 0.0, range = "[0, 1]")]
    pub dropout: f64,
    /// First values of the kernels.
    #[config(default = "glorot_uniform")]
    pub kernel_initializer: Initializer,
    /// First values of the biases.
    #[config(default = "zeros")]
    pub bias_initializer: Initializer,
    /// Penalty on the kernels.
    pub kernel_regularizer: Option<Regularizer>,
    /// Penalty on the biases.
    pub bias_regularizer: Option<Regularizer>,
    /// Projection of the kernels after each update.
    pub kernel_constraint: Option<Constraint>,
    /// Projection of the biases after each update.
    pub bias_constraint: Option<Constraint>,
    /// A seed of its own for dropout, instead of the run's.
    #[config(with = seed)]
    pub seed: Option<u64>,
}

impl GroupQueryAttention {
    fn projections(&self) -> Projections<'_> {
        Projections {
            use_bias: self.use_bias,
            kernel_initializer: &self.kernel_initializer,
            bias_initializer: &self.bias_initializer,
            kernel_regularizer: &self.kernel_regularizer,
            bias_regularizer: &self.bias_regularizer,
            kernel_constraint: &self.kernel_constraint,
            bias_constraint: &self.bias_constraint,
        }
    }
}

impl Layer for GroupQueryAttention {
    fn check(&self) -> Result<()> {
        if !self.num_query_heads.is_multiple_of(self.num_key_value_heads.max(1)) {
            let message = format!(
                "must be a multiple of num_key_value_heads ({}), found {}",
                self.num_key_value_heads, self.num_query_heads
            );
            return Err(Error::config("num_query_heads", message));
        }
        Ok(())
    }

    fn arguments(&self) -> &'static [&'static str] {
        NAMED
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let [query, value, key] = inputs(x, "GroupQueryAttention")?;
        let ([batch, queries, dim], [_, keys, width], [_, length, _]) =
            (&query.dims.0[..], &value.dims.0[..], &key.dims.0[..])
        else {
            let message = format!(
                "GroupQueryAttention takes inputs of 3 axes, got {}, {} and {}",
                query.dims, value.dims, key.dims
            );
            return Err(Error::layer("", message));
        };
        let differ = |a: &Option<usize>, b: &Option<usize>| a.zip(*b).is_some_and(|(a, b)| a != b);
        if differ(dim, width) || differ(keys, length) {
            let message = format!(
                "GroupQueryAttention: query {}, value {} and key {} do not go together",
                query.dims, value.dims, key.dims
            );
            return Err(Error::layer("", message));
        }
        let mut out = vec![query.clone()];
        if is_set(x, NAMED, "return_attention_scores") {
            let dims = vec![*batch, Some(self.num_query_heads), *queries, *length];
            out.push(query.with_dims(Dims(dims)));
        }
        Ok(out)
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let [query, value, key] = inputs(x, "GroupQueryAttention")?;
        let all = self.projections();
        let queries = [self.num_query_heads, self.head_dim];
        let keys = [self.num_key_value_heads, self.head_dim];
        let mut specs = all.weights("query", TO_HEADS, query.dims.clone(), &queries)?;
        specs.extend(all.weights("key", TO_HEADS, key.dims.clone(), &keys)?);
        if self.use_gate {
            specs.extend(all.weights("gate", TO_HEADS, query.dims.clone(), &queries)?);
        }
        specs.extend(all.weights("value", TO_HEADS, value.dims.clone(), &keys)?);
        let mut heads = query.dims.0.clone();
        heads.pop();
        heads.extend(queries.map(Some));
        let units = [query.dims.last()?];
        specs.extend(all.weights("attention_output", "...ab,abc->...c", Dims(heads), &units)?);
        Ok(specs)
    }

    fn weight_groups(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("query", "_query_dense"),
            ("key", "_key_dense"),
            ("gate", "_gate_dense"),
            ("value", "_value_dense"),
            ("attention_output", "_output_dense"),
        ]
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let [query, value, key] =
            inputs(call.args(), "GroupQueryAttention")?.map(|value: &Value| value.tensor.clone());
        let q = project(call, "query", &query, 1)?;
        let k = project(call, "key", &key, 1)?;
        let v = project(call, "value", &value, 1)?;
        let heads = Heads {
            scale: (self.head_dim as f64).sqrt().recip(),
            window: self.sliding_window,
            dropout: self.dropout,
            seed: self.seed,
            position_axes: 1,
            other_axes: 0,
        };
        let (mut y, scores) = heads.attend(call, [&q, &k, &v])?;
        if self.use_gate {
            y = gated(call, &y, &query)?;
        }
        let y = project(call, "attention_output", &y, 2)?;
        let scores = scores.filter(|_| is_set(call.args(), NAMED, "return_attention_scores"));
        Ok(std::iter::once(y).chain(scores).collect())
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn mask(&self, call: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        Ok(output_mask(call))
    }
}
