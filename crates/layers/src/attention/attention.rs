//! Attention: `y = softmax(q k') v`.

use super::{LISTED, flag, is_set, masks};
use crate::regularization::stream;
use crate::{Call, Layer, seed};
use sconce_core::{
    Arg, Args, Config, ConfigValue, DType, Dims, Error, Part, Result, Spec, Tensor, Value,
    WeightSpec,
};
use sconce_ops::activations::{Map, Softmax};
use sconce_ops::arithmetic::{Operator, arithmetic};
use sconce_ops::{Activation, Operation, batched_matmul};

/// Dot-product attention (Luong et al., "Effective approaches to attention-based neural machine
/// translation", 2015). It is called with a list: query `[batch, queries, dim]`, value `[batch, keys,
/// value_dim]` and, if it is not the value, key `[batch, keys, dim]`; y `[batch, queries, value_dim]`.
///
/// ```text
/// scores = query key'                                   score_mode "dot"
/// scores = w sum(tanh(query + key))                     score_mode "concat"
/// y = softmax(scores) value
/// ```
///
/// With `use_scale` scores are multiplied with a weight, in "concat" mode inside the tanh. Flags of a
/// call: `use_causal_mask`, `return_attention_scores` (a second output `[batch, queries, keys]`).
/// Queries do not see keys that the value's mask hides; where the query's mask is 0, y is 0.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct Attention {
    /// Whether scores are scaled by a weight.
    #[config(default = false)]
    pub use_scale: bool,
    /// How a query and a key are compared.
    #[config(default = ScoreMode::Dot)]
    pub score_mode: ScoreMode,
    /// The part of the scores that is dropped in training.
    #[config(default = 0.0, range = "[0, 1]")]
    pub dropout: f64,
    /// A seed of its own for dropout, instead of the run's.
    #[config(with = seed)]
    pub seed: Option<u64>,
}

/// How a query and a key are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ConfigValue)]
pub enum ScoreMode {
    /// By their product.
    Dot,
    /// By the sum of the hyperbolic tangents of their sum.
    Concat,
}

/// Query, value and key.
pub(super) fn inputs<'a, T>(x: &'a Args<T>, class_name: &str) -> Result<[&'a T; 3]> {
    let list = match x.at(0, "inputs") {
        Some(Arg::List(list)) => list,
        _ => &x.positional,
    };
    match list.iter().filter_map(Arg::one).collect::<Vec<_>>()[..] {
        [query, value] => Ok([query, value, value]),
        [query, value, key] => Ok([query, value, key]),
        _ => {
            let message =
                format!("{class_name} takes a list: [query, value] or [query, value, key]");
            Err(Error::layer("", message))
        }
    }
}

/// The shapes that come out.
pub(super) fn outputs(x: &Args<Spec>, class_name: &str) -> Result<Vec<Spec>> {
    let [query, value, key] = inputs(x, class_name)?;
    let ([batch, queries, dim], [_, keys, value_dim], [_, key_len, key_dim]) =
        (&query.dims.0[..], &value.dims.0[..], &key.dims.0[..])
    else {
        let message = format!(
            "{class_name} takes inputs of 3 axes, got {}, {} and {}",
            query.dims, value.dims, key.dims
        );
        return Err(Error::layer("", message));
    };
    let differ = |a: &Option<usize>, b: &Option<usize>| a.zip(*b).is_some_and(|(a, b)| a != b);
    if differ(dim, key_dim) || differ(keys, key_len) {
        let message = format!(
            "{class_name}: query {}, value {} and key {} do not go together",
            query.dims, value.dims, key.dims
        );
        return Err(Error::layer("", message));
    }
    let mut out = vec![query.with_dims(Dims(vec![*batch, *queries, *value_dim]))];
    if is_set(x, LISTED, "return_attention_scores") {
        out.push(query.with_dims(Dims(vec![*batch, *queries, *key_len])));
    }
    Ok(out)
}

/// Sums of `f(query + key)` over features, `[batch, queries, keys]`, where f is given the sums.
pub(super) fn summed(
    query: &Tensor,
    key: &Tensor,
    f: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let sums = arithmetic(Operator::Add, &query.unsqueeze(2)?, &key.unsqueeze(1)?)?;
    Ok(f(&sums)?.sum(3)?)
}

pub(super) fn tanh(x: &Tensor) -> Result<Tensor> {
    Ok(Map(sconce_ops::functions::Tanh).apply(&[x])?)
}

/// Weighs values with scores `[batch, queries, keys]`: y and, if the call asks for them, the weights.
pub(super) fn apply(
    call: &Call<'_>,
    scores: &Tensor,
    value: &Tensor,
    (rate, seed): (f64, Option<u64>),
) -> Result<Vec<Tensor>> {
    let (queries, keys) = (scores.dim(1)?, scores.dim(2)?);
    let of_value = call.mask(1).map(|mask| Ok::<_, Error>(mask.unsqueeze(1)?)).transpose()?;
    let causal = flag(call, LISTED, "use_causal_mask");
    let causal = causal.then(|| masks::causal(queries, keys, scores)).transpose()?;
    let scores = match masks::both(of_value, causal)? {
        Some(seen) => {
            let lower = if scores.dtype() == DType::F16 { 65504.0 } else { 1e9 };
            let seen = seen.broadcast_as(scores.shape())?.contiguous()?;
            seen.where_cond(scores, &(scores - lower)?)?
        }
        None => scores.clone(),
    };
    let weights = Softmax::new().call(&scores)?;
    let kept = match call.training() && rate > 0.0 {
        true => sconce_ops::dropout(&weights, rate, weights.dims(), &stream(call, seed))?,
        false => weights,
    };
    let mut y = batched_matmul(&kept, value)?;
    if let Some(mask) = call.mask(0) {
        let seen = masks::truth(mask)?.unsqueeze(2)?.broadcast_as(y.shape())?.contiguous()?;
        y = seen.where_cond(&y, &y.zeros_like()?)?;
    }
    Ok(match flag(call, LISTED, "return_attention_scores") {
        true => vec![y, kept],
        false => vec![y],
    })
}

/// The mask of y is that of the query.
pub(super) fn mask(call: &Call<'_>) -> Vec<Option<Tensor>> {
    vec![call.mask(0).cloned()]
}

impl Layer for Attention {
    fn arguments(&self) -> &'static [&'static str] {
        LISTED
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        outputs(x, "Attention")
    }

    fn weights(&self, _: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let ones = || Part::from(crate::initializers::Ones::new());
        let weight = |name: &str| Ok(WeightSpec::new(name, &[], ones().get()?.clone()));
        let scale = self.use_scale.then_some("scale");
        let concat = (self.score_mode == ScoreMode::Concat).then_some("concat_score_weight");
        scale.into_iter().chain(concat).map(weight).collect()
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let [query, value, key] =
            inputs(call.args(), "Attention")?.map(|value: &Value| value.tensor.clone());
        let scale = call.find_weight("scale");
        let scaled = |x: &Tensor| -> Result<Tensor> {
            Ok(match &scale {
                Some(scale) => arithmetic(Operator::Multiply, x, scale)?,
                None => x.clone(),
            })
        };
        let scores = match self.score_mode {
            ScoreMode::Dot => scaled(&batched_matmul(&query, &key.t()?.contiguous()?)?)?,
            ScoreMode::Concat => {
                let sums = summed(&query, &key, |sums| tanh(&scaled(sums)?))?;
                arithmetic(Operator::Multiply, &sums, &call.weight("concat_score_weight")?)?
            }
        };
        apply(call, &scores, &value, (self.dropout, self.seed))
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn mask(&self, call: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        Ok(mask(call))
    }
}
