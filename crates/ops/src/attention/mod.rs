//! Dot-product attention as one operation, `y = softmax(scale q k') v` for each head.
//!
//! Vaswani et al., "Attention is all you need", 2017. The fused form works on blocks of queries and
//! keys and keeps the logarithm of each row's sum for the backward pass, which computes the scores of
//! a block again: memory grows with the length of the sequences, not with its square (Dao et al.,
//! "FlashAttention", 2022). The composed form holds all scores.
//!
//! Shapes: q `[batch, queries, heads, key_dim]`, k `[batch, keys, kv_heads, key_dim]`, v `[batch, keys,
//! kv_heads, value_dim]`, y `[batch, queries, heads, value_dim]`. `heads` is a multiple of `kv_heads`:
//! heads that stand together share keys and values. A mask, 0 where a query must not see a key,
//! broadcasts to `[batch, heads, queries, keys]`.

mod fused;

use crate::op::{Kernel, Operation, is_cpu_f32, one};
use candle_core::{D, DType, Device, Result, Tensor, bail};
use sconce_core::tape::Pass;

/// What decides which keys a query sees, and what its scores are multiplied with.
#[derive(Clone, Copy, Debug)]
pub struct AttentionOptions {
    /// Factor of the scores, `1 / sqrt(key_dim)` as a rule.
    pub scale: f64,
    /// Whether query i sees keys 0..=i only.
    pub causal: bool,
    /// Whether query i sees only keys j with `|i - j| < window`.
    pub window: Option<usize>,
    /// What a query gets that sees no key.
    pub unseen: Unseen,
}

/// What a query gets that sees no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// The mean of all values, as softmax gives of scores that are all equally low.
    Mean,
    /// Zeros.
    Zero,
}

impl AttentionOptions {
    /// The range of keys that a query can see, of `keys`, without a mask.
    fn visible(&self, query: usize, keys: usize) -> std::ops::Range<usize> {
        let end = if self.causal { keys.min(query.saturating_add(1)) } else { keys };
        match self.window {
            Some(window) => {
                let start = (query + 1).saturating_sub(window).min(end);
                start..end.min(query.saturating_add(window))
            }
            None => 0..end,
        }
    }
}

/// Attention; one operation, fused on the CPU in f32.
///
/// # Errors
/// Shapes that do not go together.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Option<&Tensor>,
    options: AttentionOptions,
) -> Result<Tensor> {
    let sizes = Sizes::new(q.dims(), k.dims(), v.dims())?;
    let operation = Attention { options };
    match mask {
        Some(mask) => operation.apply(&[q, k, v, &aligned(mask, &sizes)?]),
        None => operation.apply(&[q, k, v]),
    }
}

/// The probabilities `[batch, heads, queries, keys]` with which [`attention`] weighs values, as a
/// tensor, for layers that give them out or drop some of them. Queries that see no key have zeros or
/// equal ones, as [`Unseen`] says. Differentiable.
///
/// # Errors
/// As [`attention`].
pub fn attention_scores(
    q: &Tensor,
    k: &Tensor,
    mask: Option<&Tensor>,
    options: AttentionOptions,
) -> Result<Tensor> {
    let sizes = Sizes::new(q.dims(), k.dims(), k.dims())?;
    let mask = mask.map(|mask| aligned(mask, &sizes)).transpose()?;
    let (left, right) = (by_groups(q, &sizes)?, by_keys(k, &sizes)?);
    let scores = crate::batched_matmul(&left, &right.t()?.contiguous()?)?;
    let scores = (crate::reshape(&scores, sizes.scores().as_slice())? * options.scale)?;
    let allowed = options.allowed(mask.as_ref(), &sizes, q.device())?;
    let Some(allowed) = allowed else { return probabilities(&scores) };
    let masked = allowed.where_cond(&scores, &low(&scores)?)?;
    let scores = probabilities(&masked)?;
    match options.unseen {
        Unseen::Mean => Ok(scores),
        Unseen::Zero => allowed.where_cond(&scores, &scores.zeros_like()?),
    }
}

/// The values weighed with probabilities, `[batch, heads, queries, keys]` and v to y.
///
/// # Errors
/// Shapes that do not go together.
pub fn weighed(scores: &Tensor, v: &Tensor) -> Result<Tensor> {
    let ([batch, heads, queries, keys], [n, rows, kv_heads, width]) = (scores.dims(), v.dims())
    else {
        bail!("attention: scores of shape {:?}, values of {:?}", scores.dims(), v.dims())
    };
    if (batch, keys) != (n, rows) || *kv_heads == 0 || !heads.is_multiple_of(*kv_heads) {
        bail!("attention: scores of shape {:?}, values of {:?}", scores.dims(), v.dims())
    }
    let repeats = heads / kv_heads;
    let left = crate::reshape(scores, (batch * kv_heads, repeats * queries, *keys))?;
    let right =
        crate::reshape(&v.transpose(1, 2)?.contiguous()?, (batch * kv_heads, *keys, *width))?;
    let y =
        crate::reshape(&crate::batched_matmul(&left, &right)?, (*batch, *heads, *queries, *width))?;
    y.transpose(1, 2)?.contiguous()
}

fn probabilities(scores: &Tensor) -> Result<Tensor> {
    use crate::Activation;
    crate::activations::Softmax::new().call(scores)
}

/// Scores that count nothing beside others.
fn low(like: &Tensor) -> Result<Tensor> {
    like.zeros_like()?.affine(1.0, if like.dtype() == DType::F16 { -3e4 } else { -1e30 })
}

/// The lengths of all axes.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    queries: usize,
    keys: usize,
    heads: usize,
    kv_heads: usize,
    key_dim: usize,
    value_dim: usize,
}

impl Sizes {
    fn new(q: &[usize], k: &[usize], v: &[usize]) -> Result<Self> {
        let (
            &[batch, queries, heads, key_dim],
            &[kb, keys, kv_heads, kd],
            &[vb, vk, vh, value_dim],
        ) = (q, k, v)
        else {
            bail!("attention: q, k and v have 4 axes each, got {q:?}, {k:?} and {v:?}")
        };
        let fits = [kb, vb] == [batch; 2] && kd == key_dim && [vk, vh] == [keys, kv_heads];
        if !fits || kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            bail!("attention: q, k and v of shapes {q:?}, {k:?} and {v:?} do not go together")
        }
        Ok(Self { batch, queries, keys, heads, kv_heads, key_dim, value_dim })
    }

    fn scores(&self) -> [usize; 4] {
        [self.batch, self.heads, self.queries, self.keys]
    }

    /// Heads that share keys and values.
    fn repeats(&self) -> usize {
        self.heads / self.kv_heads
    }
}

/// The mask as U8 with four axes, the last that of the keys.
fn aligned(mask: &Tensor, sizes: &Sizes) -> Result<Tensor> {
    let wanted = sizes.scores();
    let front = 4usize.checked_sub(mask.rank());
    let fits = front.is_some_and(|front| {
        let axes = mask.dims().iter().zip(wanted.iter().skip(front));
        axes.into_iter().all(|(own, wanted)| *own == 1 || own == wanted)
    });
    let (Some(front), true) = (front, fits) else {
        bail!("attention: a mask of shape {:?} for scores of shape {wanted:?}", mask.dims())
    };
    let mut dims = [vec![1; front], mask.dims().to_vec()].concat();
    let mask = mask.detach().ne(0f64)?.reshape(dims.as_slice())?;
    dims[3] = sizes.keys;
    mask.broadcast_as(dims)?.contiguous()
}

/// q as `[batch kv_heads, repeats queries, key_dim]`.
fn by_groups(x: &Tensor, sizes: &Sizes) -> Result<Tensor> {
    let rows = sizes.repeats() * sizes.queries;
    let width = x.dim(3)?;
    crate::reshape(&x.transpose(1, 2)?.contiguous()?, (sizes.batch * sizes.kv_heads, rows, width))
}

/// k or v as `[batch kv_heads, keys, width]`.
fn by_keys(x: &Tensor, sizes: &Sizes) -> Result<Tensor> {
    let width = x.dim(3)?;
    let x = x.transpose(1, 2)?.contiguous()?;
    crate::reshape(&x, (sizes.batch * sizes.kv_heads, sizes.keys, width))
}

impl AttentionOptions {
    /// Which scores count, `[batch, heads, queries, keys]`; `None` if all do.
    fn allowed(
        &self,
        mask: Option<&Tensor>,
        sizes: &Sizes,
        device: &Device,
    ) -> Result<Option<Tensor>> {
        let mut allowed = mask.cloned();
        if self.causal || self.window.is_some() {
            let (queries, keys) = (sizes.queries, sizes.keys);
            let mut seen = vec![0u8; queries * keys];
            for (query, row) in seen.chunks_exact_mut(keys.max(1)).enumerate() {
                row.get_mut(self.visible(query, keys)).into_iter().for_each(|row| row.fill(1));
            }
            let seen = Tensor::from_vec(seen, (1, 1, queries, keys), device)?;
            allowed = Some(match allowed {
                Some(mask) => mask.broadcast_minimum(&seen)?,
                None => seen,
            });
        }
        allowed.map(|allowed| allowed.broadcast_as(&sizes.scores())?.contiguous()).transpose()
    }
}

/// The operation; inputs q, k, v and, if there is one, the mask.
struct Attention {
    options: AttentionOptions,
}

impl Attention {
    fn sizes(inputs: [&Tensor; 3]) -> Result<Sizes> {
        let [q, k, v] = inputs.map(Tensor::dims);
        Sizes::new(q, k, v)
    }
}

impl Operation for Attention {
    /// The probabilities in the composed form; the logarithms of rows' sums in the fused one.
    type Saved = Tensor;

    fn name(&self) -> &'static str {
        "attention"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, Tensor)> {
        let (q, k, v) = (inputs[0], inputs[1], inputs[2]);
        let scores = attention_scores(q, k, inputs.get(3).copied(), self.options)?;
        let (y, ()) = one(weighed(&scores, v))?;
        Ok((y, scores))
    }

    fn backward(&self, scores: Tensor, pass: &mut Pass<'_>) -> Result<()> {
        let (q, k, v, dy) = (pass.input(0), pass.input(1), pass.input(2), pass.dy()?);
        let sizes = Self::sizes([q, k, v])?;
        let rows = sizes.repeats() * sizes.queries;
        let groups = sizes.batch * sizes.kv_heads;
        // Gradients of heads to the axes of the inputs.
        let back = |x: Tensor, heads: usize, rows: usize| {
            let width = x.dim(2)?;
            x.reshape((sizes.batch, heads, rows, width))?.transpose(1, 2)?.contiguous()
        };
        let dy = by_groups(dy, &sizes)?;
        let p = scores.reshape((groups, rows, sizes.keys))?;
        if pass.needs(2) {
            let dv = p.t()?.contiguous()?.matmul(&dy)?;
            pass.give(2, back(dv, sizes.kv_heads, sizes.keys)?)?;
        }
        if !pass.needs(0) && !pass.needs(1) {
            return Ok(());
        }
        let dp = dy.matmul(&by_keys(v, &sizes)?.t()?.contiguous()?)?;
        let inner = (&p * &dp)?.sum_keepdim(D::Minus1)?;
        let mut ds = ((&p * dp.broadcast_sub(&inner)?)? * self.options.scale)?;
        let mask = (pass.input_count() > 3).then(|| pass.input(3));
        if let Some(allowed) = self.options.allowed(mask, &sizes, q.device())? {
            // A query that sees no key has no gradient through its scores.
            let allowed = allowed.reshape(ds.shape())?;
            ds = allowed.where_cond(&ds, &ds.zeros_like()?)?;
        }
        if pass.needs(0) {
            let dq = ds.matmul(&by_keys(k, &sizes)?)?;
            pass.give(0, back(dq, sizes.heads, sizes.queries)?)?;
        }
        if pass.needs(1) {
            let dk = ds.t()?.contiguous()?.matmul(&by_groups(q, &sizes)?)?;
            pass.give(1, back(dk, sizes.kv_heads, sizes.keys)?)?;
        }
        Ok(())
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<Tensor>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<Tensor>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check_operation, sample};

    fn options() -> AttentionOptions {
        AttentionOptions { scale: 0.7, causal: false, window: None, unseen: Unseen::Mean }
    }

    /// 0 or 1 by place, with a query that sees nothing.
    fn mask(dims: &[usize]) -> Tensor {
        let len: usize = dims.iter().product();
        let keys = dims.last().copied().unwrap_or(1);
        let values: Vec<u8> =
            (0..len).map(|i| u8::from(i / keys % 3 != 1 && (i * 7 + i / keys) % 4 != 0)).collect();
        Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
    }

    #[test]
    fn gradients_and_forms_agree() {
        // Batch, queries, keys, heads, heads of keys, widths of keys and values.
        let sizes = [[2, 3, 4, 2, 2, 3, 5], [1, 5, 2, 4, 2, 2, 1], [2, 1, 1, 3, 1, 1, 2]];
        for [batch, queries, keys, heads, kv_heads, key_dim, value_dim] in sizes {
            let q = sample("q", &[batch, queries, heads, key_dim]).unwrap();
            let k = sample("k", &[batch, keys, kv_heads, key_dim]).unwrap();
            let v = sample("v", &[batch, keys, kv_heads, value_dim]).unwrap();
            for unseen in [Unseen::Mean, Unseen::Zero] {
                for (causal, window) in
                    [(false, None), (true, None), (false, Some(2)), (true, Some(1))]
                {
                    let options = AttentionOptions { causal, window, unseen, ..options() };
                    let make = || Attention { options };
                    let inputs = [q.clone(), k.clone(), v.clone()];
                    check_operation(make, &inputs).unwrap();
                    for dims in [[batch, 1, 1, keys], [1, heads, queries, keys]] {
                        let with_mask = [&inputs[..], &[mask(&dims)]].concat();
                        check_operation(make, &with_mask).unwrap();
                    }
                }
            }
        }
    }

    /// More than a block of queries and of keys.
    #[test]
    fn forms_agree_over_several_blocks() {
        let inputs = [
            sample("q", &[1, 150, 2, 3]).unwrap(),
            sample("k", &[1, 600, 1, 3]).unwrap(),
            sample("v", &[1, 600, 1, 2]).unwrap(),
            mask(&[1, 1, 150, 600]),
        ];
        for (causal, window) in [(false, None), (true, None), (false, Some(300)), (true, Some(70))]
        {
            let options = AttentionOptions { causal, window, scale: 3.0, ..options() };
            let run = |fused: bool, x: &[&Tensor]| match fused {
                true => Attention { options }.apply(x),
                false => Attention { options }.apply_composed(x),
            };
            crate::gradient_check::check_forms(|x| run(true, x), |x| run(false, x), &inputs)
                .unwrap();
        }
    }

    /// Of a query that is not a number nothing is; the others do not see it. Of a key, nothing is.
    #[test]
    fn what_is_not_a_number_stays_so() {
        let spoiled = |name: &str| {
            let mut values: Vec<f32> = (0..2 * 3 * 2 * 4).map(|i| (i % 7) as f32 / 7.0).collect();
            if name == "spoiled" {
                values[8] = f32::NAN;
            }
            Tensor::from_vec(values, (2, 3, 2, 4), &Device::Cpu).unwrap()
        };
        let (plain, spoiled) = (spoiled("plain"), spoiled("spoiled"));
        let not_numbers = |q: &Tensor, k: &Tensor| -> Vec<usize> {
            let y = attention(q, k, &plain, None, options()).unwrap();
            let y = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (0..y.len()).filter(|i| y[*i].is_nan()).collect()
        };
        // Batch 0, row 1, head 0.
        assert_eq!(not_numbers(&spoiled, &plain), [8, 9, 10, 11]);
        assert_eq!(not_numbers(&plain, &spoiled), [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19]);
    }

    #[test]
    fn lengths_of_zero_and_shapes_that_do_not_fit() {
        let zeros = |dims: [usize; 4]| Tensor::zeros(&dims, DType::F32, &Device::Cpu).unwrap();
        let run = |q, k, v| attention(&zeros(q), &zeros(k), &zeros(v), None, options());
        assert_eq!(run([0, 2, 2, 3], [0, 4, 2, 3], [0, 4, 2, 5]).unwrap().dims(), [0, 2, 2, 5]);
        assert_eq!(run([1, 0, 2, 3], [1, 4, 2, 3], [1, 4, 2, 5]).unwrap().dims(), [1, 0, 2, 5]);
        let without_keys = run([1, 2, 2, 3], [1, 0, 2, 3], [1, 0, 2, 5]).unwrap();
        assert_eq!(without_keys.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap(), 0.0);
        for (q, k, v) in [
            ([1, 2, 3, 3], [1, 4, 2, 3], [1, 4, 2, 5]),
            ([1, 2, 2, 3], [1, 4, 2, 4], [1, 4, 2, 5]),
            ([1, 2, 2, 3], [1, 4, 2, 3], [1, 3, 2, 5]),
            ([2, 2, 2, 3], [1, 4, 2, 3], [1, 4, 2, 5]),
        ] {
            assert!(run(q, k, v).is_err());
        }
        let x = zeros([1, 2, 2, 3]);
        assert!(attention(&x, &x, &x, Some(&mask(&[3, 2])), options()).is_err());
    }
}
