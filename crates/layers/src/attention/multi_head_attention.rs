//! MultiHeadAttention: several dot-product attentions side by side.

use super::heads::{Heads, Projections, TO_HEADS, gated, inputs, output_mask, project};
use super::{NAMED, is_set};
use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::{Call, Layer, seed};
use sconce_core::axes::position;
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{
    Args, Config, ConfigValue, Dims, Error, Json, Result, Spec, Tensor, Value, WeightSpec,
};
use serde_json::json;

/// Attention of several heads (Vaswani et al., "Attention is all you need", 2017). It is called with
/// query `[batch, queries, dim]`, value `[batch, keys, value features]` and, if it is another, key
/// `[batch, keys, key features]`; y `[batch, queries, dim]`.
///
/// ```text
/// head i = softmax(q k' / sqrt(key_dim)) v,   q = query wq + bq, k = key wk + bk, v = value wv + bv
/// y = (head 1, head 2, ..) wo + bo
/// ```
///
/// Arguments of a call: `use_causal_mask` (a query sees no later key), `attention_mask` `[batch, queries,
/// keys]`, `return_attention_scores` (a second output `[batch, heads, queries, keys]`). The masks of
/// query, value and key are taken into account. Weights of projections: `[features, heads, key_dim]` and
/// `[heads, key_dim]`; of the output `[heads, value_dim, dim]` and `[dim]`. Without dropout and scores,
/// one operation whose memory grows with the length of the sequences, not with its square.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct MultiHeadAttention {
    /// The number of heads.
    #[config(range = "[1, inf)")]
    pub num_heads: usize,
    /// The width of queries and keys in each head.
    #[config(range = "[1, inf)")]
    pub key_dim: usize,
    /// The width of values in each head; `key_dim` if `None`.
    #[config(or = key_dim, range = "[1, inf)")]
    pub value_dim: Option<usize>,
    /// The part of the scores that is dropped in training.
    #[config(default = 0.0, range = "[0, 1]")]
    pub dropout: f64,
    /// Whether projections have biases.
    #[config(default = true)]
    pub use_bias: bool,
    /// Whether what comes of the heads is multiplied with the sigmoid of a projection of the query.
    #[config(default = false)]
    pub use_gate: bool,
    /// The shape of the last axes of y; the last axis of the query if `None`.
    #[config(with = lengths)]
    pub output_shape: Option<Vec<usize>>,
    /// The axes of positions; all between the batch and the features if `None`.
    #[config(with = axes)]
    pub attention_axes: Option<Vec<i64>>,
    /// Queries see only keys that are nearer than this.
    #[config(range = "[1, inf)")]
    pub sliding_window: Option<usize>,
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

/// Keras takes one number too.
macro_rules! one_or_several {
    ($name:ident: $number:ty) => {
        mod $name {
            use super::{ConfigValue, Definitions, Json, Result, json, mismatch};

            pub fn from_json(value: &Json) -> Result<Option<Vec<$number>>> {
                match value {
                    Json::Null => Ok(None),
                    Json::Array(_) => Vec::from_json(value).map(Some),
                    one => <$number>::from_json(one)
                        .map(|one| Some(vec![one]))
                        .map_err(|_| mismatch("null, a whole number or a list of them", value)),
                }
            }

            pub fn to_json(value: &Option<Vec<$number>>) -> Result<Json> {
                value.to_json()
            }

            pub fn schema(definitions: &mut Definitions) -> Json {
                let one = <$number>::schema(definitions);
                json!({"anyOf": [{"type": "null"}, one, {"type": "array", "items": one}]})
            }
        }
    };
}

one_or_several!(lengths: usize);
one_or_several!(axes: i64);

impl MultiHeadAttention {
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

    /// The axes of positions of inputs of a rank, in order.
    fn positions(&self, rank: usize) -> Result<Vec<usize>> {
        let inner: Vec<usize> = (1..rank.saturating_sub(1)).collect();
        let Some(axes) = &self.attention_axes else { return Ok(inner) };
        let mut positions =
            axes.iter().map(|axis| position(*axis, rank)).collect::<Result<Vec<_>>>()?;
        positions.sort_unstable();
        let distinct = positions.windows(2).all(|pair| pair[0] != pair[1]);
        if positions.is_empty() || !distinct || positions.iter().any(|axis| !inner.contains(axis)) {
            let message =
                format!("attention_axes {axes:?} must be axes of positions, 1 and following");
            return Err(Error::layer("", message));
        }
        Ok(positions)
    }

    fn width_of_values(&self) -> usize {
        self.value_dim.unwrap_or(self.key_dim)
    }
}

/// The axes with those of positions behind the others, heads and widths last.
fn order(rank: usize, positions: &[usize]) -> Vec<usize> {
    let others = (1..rank - 2).filter(|axis| !positions.contains(axis));
    let front = std::iter::once(0).chain(others).chain(positions.iter().copied());
    front.chain([rank - 2, rank - 1]).collect()
}

fn permuted(x: &Tensor, order: &[usize]) -> Result<Tensor> {
    match order.is_sorted() {
        true => Ok(x.clone()),
        false => Ok(x.permute(order)?.contiguous()?),
    }
}

impl Layer for MultiHeadAttention {
    fn arguments(&self) -> &'static [&'static str] {
        NAMED
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let [query, value, key] = inputs(x, "MultiHeadAttention")?;
        let inner =
            |dims: &Dims| dims.0.get(1..dims.rank().max(2) - 1).unwrap_or_default().to_vec();
        let (of_value, of_key) = (inner(&value.dims), inner(&key.dims));
        let differ =
            |(a, b): (&Option<usize>, &Option<usize>)| a.zip(*b).is_some_and(|(a, b)| a != b);
        let ranks = [query.dims.rank(), value.dims.rank(), key.dims.rank()];
        if ranks.iter().any(|rank| *rank < 3 || *rank != ranks[0])
            || of_value.iter().zip(&of_key).any(differ)
        {
            let message = format!(
                "MultiHeadAttention: query {}, value {} and key {} do not go together",
                query.dims, value.dims, key.dims
            );
            return Err(Error::layer("", message));
        }
        let positions = self.positions(ranks[0])?;
        let mut dims = query.dims.0.clone();
        if let Some(shape) = &self.output_shape {
            dims.pop();
            dims.extend(shape.iter().map(|length| Some(*length)));
        }
        let mut out = vec![query.with_dims(Dims(dims))];
        if is_set(x, NAMED, "return_attention_scores") {
            let at = |spec: &Spec, axis: usize| spec.dims.0.get(axis).copied().flatten();
            let others = (1..ranks[0] - 1).filter(|axis| !positions.contains(axis));
            let mut dims = vec![at(query, 0)];
            dims.extend(others.map(|axis| at(query, axis)));
            dims.push(Some(self.num_heads));
            dims.extend(positions.iter().map(|axis| at(query, *axis)));
            dims.extend(positions.iter().map(|axis| at(key, *axis)));
            out.push(query.with_dims(Dims(dims)));
        }
        Ok(out)
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let [query, value, key] = inputs(x, "MultiHeadAttention")?;
        let all = self.projections();
        let (keys, values) =
            ([self.num_heads, self.key_dim], [self.num_heads, self.width_of_values()]);
        let mut specs = all.weights("query", TO_HEADS, query.dims.clone(), &keys)?;
        specs.extend(all.weights("key", TO_HEADS, key.dims.clone(), &keys)?);
        if self.use_gate {
            specs.extend(all.weights("gate", TO_HEADS, query.dims.clone(), &values)?);
        }
        specs.extend(all.weights("value", TO_HEADS, value.dims.clone(), &values)?);
        let mut heads = query.dims.0.clone();
        heads.pop();
        heads.extend(values.map(Some));
        let shape = match &self.output_shape {
            Some(shape) => shape.clone(),
            None => vec![query.dims.last()?],
        };
        let letters: String = ('c'..='z').take(shape.len()).collect();
        let equation = format!("...ab,ab{letters}->...{letters}");
        specs.extend(all.weights("attention_output", &equation, Dims(heads), &shape)?);
        Ok(specs)
    }

    fn weight_groups(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("query", "query_dense"),
            ("key", "key_dense"),
            ("gate", "_gate_dense"),
            ("value", "value_dense"),
            ("attention_output", "output_dense"),
        ]
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let [query, value, key] =
            inputs(call.args(), "MultiHeadAttention")?.map(|value: &Value| value.tensor.clone());
        let positions = self.positions(query.rank())?;
        let order = order(query.rank() + 1, &positions);
        let mut project = |name: &str, x: &Tensor| permuted(&project(call, name, x, 1)?, &order);
        let (q, k, v) =
            (project("query", &query)?, project("key", &key)?, project("value", &value)?);
        let heads = Heads {
            scale: (self.key_dim as f64).sqrt().recip(),
            window: self.sliding_window,
            dropout: self.dropout,
            seed: self.seed,
            position_axes: positions.len(),
            other_axes: query.rank() - 2 - positions.len(),
        };
        let (y, scores) = heads.attend(call, [&q, &k, &v])?;
        let mut back = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, axis)| back[*axis] = place);
        let mut y = permuted(&y, &back)?;
        if self.use_gate {
            y = gated(call, &y, &query)?;
        }
        let y = super::heads::project(call, "attention_output", &y, 2)?;
        Ok(std::iter::once(y).chain(scores.filter(|_| returns(call))).collect())
    }

    fn regularizes_outputs(&self) -> bool {
        false
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn mask(&self, call: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        Ok(output_mask(call))
    }
}

/// Whether a call asks for scores.
fn returns(call: &Call<'_>) -> bool {
    is_set(call.args(), NAMED, "return_attention_scores")
}
