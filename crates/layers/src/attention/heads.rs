//! What layers with several heads share: projections to heads and back, masks, and attention itself.

use super::{NAMED, flag, masks};
use crate::constraints::Constraint;
use crate::core::EinsumDense;
use crate::initializers::Initializer;
use crate::regularization::stream;
use crate::regularizers::Regularizer;
use crate::{Call, Layer};
use sconce_core::{Arg, Args, Dims, Error, Result, Spec, Tensor, Value, WeightSpec};
use sconce_ops::activations::{Linear, Sigmoid};
use sconce_ops::arithmetic::{Operator, arithmetic};
use sconce_ops::attention::weighed;
use sconce_ops::{
    Activation, AttentionOptions, Unseen, attention, attention_scores, dense, reshape,
};
use std::sync::Arc;

/// What the weights of all projections start as, and what they are held to.
pub struct Projections<'a> {
    pub use_bias: bool,
    pub kernel_initializer: &'a Initializer,
    pub bias_initializer: &'a Initializer,
    pub kernel_regularizer: &'a Option<Regularizer>,
    pub bias_regularizer: &'a Option<Regularizer>,
    pub kernel_constraint: &'a Option<Constraint>,
    pub bias_constraint: &'a Option<Constraint>,
}

impl Projections<'_> {
    /// The weights of the projection `name`: of features to heads, `"...a,abc->...bc"`, or of heads to
    /// features, `"...ab,abc->...c"`.
    pub fn weights(
        &self,
        name: &str,
        equation: &str,
        input: Dims,
        output: &[usize],
    ) -> Result<Vec<WeightSpec>> {
        let letters = equation.rsplit("...").next().unwrap_or_default();
        let dense = EinsumDense {
            bias_axes: self.use_bias.then(|| letters.to_string()),
            kernel_initializer: self.kernel_initializer.clone(),
            bias_initializer: self.bias_initializer.clone(),
            kernel_regularizer: self.kernel_regularizer.clone(),
            bias_regularizer: self.bias_regularizer.clone(),
            kernel_constraint: self.kernel_constraint.clone(),
            bias_constraint: self.bias_constraint.clone(),
            ..EinsumDense::new(equation, output.iter().map(|n| Some(*n)).collect::<Vec<_>>())
        };
        let named = |spec: WeightSpec| WeightSpec { name: format!("{name}/{}", spec.name), ..spec };
        Ok(dense.weights(&Args::one(Spec::float(input)))?.into_iter().map(named).collect())
    }
}

/// The projection of features to heads.
pub const TO_HEADS: &str = "...a,abc->...bc";

/// x projected with the weights of `name`, summed over its last `inner` axes. As in Keras, the layer's activity
/// regularizer is one of each projection.
pub fn project(call: &mut Call<'_>, name: &str, x: &Tensor, inner: usize) -> Result<Tensor> {
    let y = product(call, name, x, inner)?;
    call.regularize_activity(&y)?;
    Ok(y)
}

fn product(call: &Call<'_>, name: &str, x: &Tensor, inner: usize) -> Result<Tensor> {
    let kernel = call.weight(&format!("{name}/kernel"))?;
    let bias = call.find_weight(&format!("{name}/bias"));
    let front = x.rank().saturating_sub(inner);
    let (rows, summed) = x.dims().split_at(front);
    let columns = kernel.dims().get(inner..).unwrap_or_default();
    let (width, units): (usize, usize) = (summed.iter().product(), columns.iter().product());
    let flat = reshape(x, (rows.iter().product::<usize>(), width))?;
    let bias = bias.map(|bias| reshape(&bias, units)).transpose()?;
    let linear: Arc<dyn Activation> = Arc::new(Linear {});
    let y = dense(&flat, &reshape(&kernel, (width, units))?, bias.as_ref(), &linear)?;
    Ok(reshape(&y, [rows, columns].concat())?)
}

/// y times the sigmoid of a projection of the query.
pub fn gated(call: &mut Call<'_>, y: &Tensor, query: &Tensor) -> Result<Tensor> {
    let gate = Sigmoid {}.call(&product(call, "gate", query, 1)?)?;
    call.regularize_activity(&gate)?;
    Ok(arithmetic(Operator::Multiply, y, &gate)?)
}

/// Query, value and key of a call.
pub fn inputs<'a, T>(x: &'a Args<T>, class_name: &str) -> Result<[&'a T; 3]> {
    let at = |place: usize| x.at(place, NAMED[place]).and_then(Arg::one);
    match (at(0), at(1)) {
        (Some(query), Some(value)) => Ok([query, value, at(2).unwrap_or(value)]),
        _ => {
            let message =
                format!("{class_name} takes a query and a value, and a key if it is another");
            Err(Error::layer("", message))
        }
    }
}

/// The mask of a call's query, value or key: the argument, or the one that the tensor carries.
fn mask_of(call: &Call<'_>, place: usize) -> Option<Tensor> {
    let args = call.args();
    let given = args.at(place + 3, NAMED[place + 3]).and_then(Arg::one);
    let carried = args.at(place, NAMED[place]).and_then(Arg::one);
    given.map(|given| given.tensor.clone()).or_else(|| carried?.mask.clone())
}

/// The mask of y: that of the query.
pub fn output_mask(call: &Call<'_>) -> Vec<Option<Tensor>> {
    let query = call.args().at(0, NAMED[0]).and_then(Arg::one);
    vec![query.and_then(|query: &Value| query.mask.clone())]
}

/// How a layer attends.
pub struct Heads {
    pub scale: f64,
    pub window: Option<usize>,
    pub dropout: f64,
    pub seed: Option<u64>,
    /// Axes of positions: 1 for sequences.
    pub position_axes: usize,
    /// Axes between the batch and the positions that attend each by itself.
    pub other_axes: usize,
}

impl Heads {
    /// The masks of a call in one, `[batch or 1, heads or 1, queries or 1, keys]`.
    fn mask(&self, call: &Call<'_>, [queries, keys]: [usize; 2]) -> Result<Option<Tensor>> {
        let along = |mask: Option<Tensor>, axis: usize| -> Result<Option<Tensor>> {
            let mask = mask.map(|mask| Ok::<_, Error>(mask.unsqueeze(axis)?)).transpose()?;
            mask.map(|mask| Ok(mask.unsqueeze(1)?)).transpose()
        };
        let mut all = along(mask_of(call, 0), 2)?;
        for place in [1, 2] {
            all = masks::both(all, along(mask_of(call, place), 1)?)?;
        }
        let Some(given) = call.arg(6, NAMED[6]) else { return Ok(all) };
        // Positions in one axis; axes that are left out stand before them.
        let positions = 2 * self.position_axes;
        let front = given.rank().checked_sub(positions).filter(|front| *front <= 2);
        let Some(front) = front else {
            let message = format!("attention_mask of shape {:?} does not fit", given.dims());
            return Err(Error::layer("", message));
        };
        let mut dims = given.dims()[..front].to_vec();
        while dims.len() < 2 {
            dims.insert(dims.len().min(1), 1);
        }
        if front == 0 {
            dims = vec![1, 1];
        }
        let length = |axes: &[usize], whole: usize| {
            if axes.iter().all(|axis| *axis == 1) { 1 } else { whole }
        };
        let (of_queries, of_keys) = given.dims()[front..].split_at(self.position_axes);
        dims.extend([length(of_queries, queries), length(of_keys, keys)]);
        masks::both(all, Some(given.reshape(dims)?))
    }

    /// Attends: q, k and v `[batch, other.., positions.., heads, width]` to y of q's axes and, if the
    /// call asks for them, scores `[batch, other.., heads, positions of q.., positions of k..]`.
    pub fn attend(
        &self,
        call: &Call<'_>,
        [q, k, v]: [&Tensor; 3],
    ) -> Result<(Tensor, Option<Tensor>)> {
        let (others, positions) = (self.other_axes, self.position_axes);
        let front = 1 + others;
        // As sequences: `[batch other.., positions, heads, width]`.
        let sequences = |x: &Tensor| {
            let dims = x.dims();
            let length = |axes: &[usize]| axes.iter().product::<usize>();
            let (batch, rest) = dims.split_at(front);
            let (places, heads) = rest.split_at(positions);
            reshape(x, [&[length(batch), length(places)], heads].concat())
        };
        let [flat_q, flat_k, flat_v] = [sequences(q)?, sequences(k)?, sequences(v)?];
        let (queries, keys) = (flat_q.dim(1)?, flat_k.dim(1)?);
        let mut mask = self.mask(call, [queries, keys])?;
        if let (Some(all), true) = (&mask, others > 0) {
            let count: usize = q.dims()[1..front].iter().product();
            if all.dim(0)? > 1 {
                let (batch, rest) = (all.dim(0)?, all.dims()[1..].to_vec());
                let wide = all.unsqueeze(1)?.broadcast_as([&[batch, count], &rest[..]].concat())?;
                mask = Some(wide.contiguous()?.reshape([&[batch * count], &rest[..]].concat())?);
            }
        }
        // As Keras's two ways: of all but plain sequences it masks the softmax itself.
        let returns = flag(call, NAMED, "return_attention_scores");
        let by_scores = self.dropout > 0.0 || returns || q.rank() != 4;
        let options = AttentionOptions {
            scale: self.scale,
            causal: flag(call, NAMED, "use_causal_mask"),
            window: self.window,
            unseen: if by_scores { Unseen::Zero } else { Unseen::Mean },
        };
        let drops = self.dropout > 0.0 && call.training();
        if !returns && !drops {
            let y = attention(&flat_q, &flat_k, &flat_v, mask.as_ref(), options)?;
            return Ok((self.shaped(q, v, &y)?, None));
        }
        let scores = attention_scores(&flat_q, &flat_k, mask.as_ref(), options)?;
        let kept = match drops {
            true => {
                let stream = stream(call, self.seed);
                sconce_ops::dropout(&scores, self.dropout, scores.dims(), &stream)?
            }
            false => scores.clone(),
        };
        let y = self.shaped(q, v, &weighed(&kept, &flat_v)?)?;
        let places = |x: &Tensor| x.dims()[front..front + positions].to_vec();
        let heads = q.dims()[front + positions];
        let dims = [&q.dims()[..front], &[heads], &places(q), &places(k)].concat();
        Ok((y, Some(reshape(&scores, dims)?)))
    }

    /// y in the axes of q, with the width of v.
    fn shaped(&self, q: &Tensor, v: &Tensor, y: &Tensor) -> Result<Tensor> {
        let mut dims = q.dims().to_vec();
        if let (Some(last), Some(width)) = (dims.last_mut(), v.dims().last()) {
            *last = *width;
        }
        Ok(reshape(y, dims)?)
    }
}
