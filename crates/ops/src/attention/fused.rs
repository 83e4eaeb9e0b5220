//! Attention on the CPU in f32: heads in parallel, each by blocks of queries and keys that stay in the
//! cache.

use super::{Attention, AttentionOptions, Sizes, Unseen};
use crate::op::{Input, Kernel, Values};
use candle_core::{Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::{
    Matrix, build_parts, for_parts, lane_sum, math, product, row_max, row_sum, vectorized,
    with_slices, zeros,
};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Queries and keys of a block.
const QUERIES: usize = 64;
const KEYS: usize = 256;
/// Keys are filled up with hidden ones to a multiple of this, so that loops over a row of scores fill
/// vectors and products need not copy the keys.
const LANES: usize = 16;

/// A mask by its values and the strides of batch, heads and queries.
#[derive(Clone, Copy)]
struct Mask<'a> {
    values: &'a [u8],
    strides: [usize; 3],
}

impl<'a> Mask<'a> {
    fn new(values: &'a [u8], dims: &[usize]) -> Self {
        let mut strides = [0; 3];
        let mut len = dims.last().copied().unwrap_or(1);
        for (stride, dim) in strides.iter_mut().zip(dims).rev() {
            if *dim != 1 {
                *stride = len;
            }
            len *= dim;
        }
        Self { values, strides }
    }

    /// The row of one query.
    fn row(&self, batch: usize, head: usize, query: usize, keys: Range<usize>) -> &'a [u8] {
        let [b, h, q] = self.strides;
        let start = batch * b + head * h + query * q;
        self.values.get(start + keys.start..start + keys.end).unwrap_or(&[])
    }
}

/// All that heads need.
#[derive(Clone, Copy)]
struct Heads<'a> {
    sizes: Sizes,
    options: AttentionOptions,
    mask: Option<Mask<'a>>,
}

/// One head of `x [batch, rows, heads, width]`.
#[derive(Clone, Copy)]
struct HeadOf<'a> {
    x: &'a [f32],
    at: [usize; 2],
    dims: [usize; 3],
}

impl<'a> HeadOf<'a> {
    fn rows(self) -> impl Iterator<Item = &'a [f32]> {
        let ([batch, head], [rows, heads, width]) = (self.at, self.dims);
        (0..rows).map(move |row| {
            let start = ((batch * rows + row) * heads + head) * width;
            self.x.get(start..start + width).unwrap_or(&[])
        })
    }

    /// Its rows, times a factor.
    fn scaled(self, factor: f32) -> Vec<f32> {
        let [rows, _, width] = self.dims;
        let mut out = Vec::with_capacity(rows * width);
        self.rows().for_each(|row| out.extend(row.iter().map(|x| x * factor)));
        out
    }

    /// Its rows, and rows of zeros up to `padded`.
    fn padded(self, padded: usize) -> Vec<f32> {
        let mut out = Vec::with_capacity(padded * self.dims[2]);
        self.rows().for_each(|row| out.extend_from_slice(row));
        out.resize(padded * self.dims[2], 0.0);
        out
    }
}

/// `x [rows, width]` as `[width, rows]`.
fn transposed(x: &[f32], width: usize) -> Vec<f32> {
    let rows = x.len() / width.max(1);
    let mut out = vec![0.0; x.len()];
    for (row, x) in x.chunks_exact(width.max(1)).enumerate() {
        for (column, x) in x.iter().enumerate() {
            out[column * rows + row] = *x;
        }
    }
    out
}

/// A product of which the shapes are known to fit.
fn multiply(
    out: &mut [f32],
    a: Option<Matrix<'_>>,
    b: Option<Matrix<'_>>,
    accumulate: bool,
) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => product(out, a, b, accumulate),
        _ => false,
    }
}

fn rows(x: &[f32], range: Range<usize>, width: usize) -> Option<Matrix<'_>> {
    Matrix::new(x.get(range.start * width..range.end * width)?, range.len(), width)
}

fn columns(x: &[f32], range: Range<usize>, width: usize) -> Option<Matrix<'_>> {
    Matrix::new(x, width, x.len() / width.max(1))?.column_range(range)
}

impl Heads<'_> {
    /// Keys, with those that fill them up.
    fn padded(&self) -> usize {
        self.sizes.keys.next_multiple_of(LANES)
    }

    /// The keys that some query of a block can see, in blocks.
    fn blocks(&self, queries: &Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
        let keys = self.sizes.keys;
        let first = self.options.visible(queries.start, keys);
        let last = self.options.visible(queries.end.saturating_sub(1), keys);
        let (start, end) = (first.start.min(last.start), first.end.max(last.end));
        let (start, end) = (start / LANES * LANES, end.next_multiple_of(LANES));
        (start..end).step_by(KEYS).map(move |start| start..(start + KEYS).min(end))
    }

    /// Sets the scores that do not count, of one query and a block of keys, to -inf.
    fn hide(&self, at: [usize; 2], query: usize, keys: &Range<usize>, scores: &mut [f32]) {
        let seen = self.options.visible(query, self.sizes.keys);
        let within = |place: usize| place.clamp(keys.start, keys.end) - keys.start;
        let (start, end) = (within(seen.start), within(seen.end).max(within(seen.start)));
        scores[..start].fill(f32::NEG_INFINITY);
        scores[end..].fill(f32::NEG_INFINITY);
        if let Some(mask) = self.mask {
            let row = mask.row(at[0], at[1], query, keys.start..keys.end.min(self.sizes.keys));
            for (score, seen) in scores.iter_mut().zip(row) {
                *score = if *seen == 0 { f32::NEG_INFINITY } else { *score };
            }
        }
    }

    /// One head: `out [queries, value_dim]`, and the logarithm of each row's sum after it; infinite for
    /// a query that sees no key.
    fn forward(&self, at: [usize; 2], q: &[f32], kt: &[f32], v: &[f32], out: &mut [f32]) -> bool {
        let Sizes { queries, keys, key_dim, value_dim, .. } = self.sizes;
        let (y, sums) = out.split_at_mut(queries * value_dim);
        let mut scores = vec![0f32; QUERIES * KEYS.min(self.padded())];
        let mut fits = true;
        for start in (0..queries).step_by(QUERIES) {
            let block = start..(start + QUERIES).min(queries);
            let y = &mut y[block.start * value_dim..block.end * value_dim];
            let (mut highest, mut sum) = ([f32::NEG_INFINITY; QUERIES], [0f32; QUERIES]);
            let mut first = true;
            for keys in self.blocks(&block) {
                let scores = &mut scores[..block.len() * keys.len()];
                let right = columns(kt, keys.clone(), key_dim);
                fits &= multiply(scores, rows(q, block.clone(), key_dim), right, false);
                for (i, row) in scores.chunks_exact_mut(keys.len()).enumerate() {
                    self.hide(at, block.start + i, &keys, row);
                    let (rescale, added) = probabilities(row, &mut highest[i]);
                    sum[i] = sum[i] * rescale + added;
                    if !first && rescale != 1.0 {
                        y[i * value_dim..][..value_dim].iter_mut().for_each(|y| *y *= rescale);
                    }
                }
                let p = Matrix::new(scores, block.len(), keys.len());
                fits &= multiply(y, p, rows(v, keys, value_dim), !first);
                first = false;
            }
            for (i, query) in block.enumerate() {
                let y = &mut y[i * value_dim..][..value_dim];
                // Not `>`: a NaN must stay one.
                if sum[i] == 0.0 {
                    sums[query] = f32::INFINITY;
                    match self.options.unseen {
                        Unseen::Mean => mean(v, keys, y),
                        Unseen::Zero => y.fill(0.0),
                    }
                } else {
                    let scale = 1.0 / sum[i];
                    y.iter_mut().for_each(|y| *y *= scale);
                    sums[query] = highest[i] + math::ln(sum[i]);
                }
            }
        }
        fits
    }

    /// The gradients of one head: adds to `dk` and `dv`, sets `dq`.
    fn backward(
        &self,
        at: [usize; 2],
        head: &Head<'_>,
        dq: &mut [f32],
        dk: &mut [f32],
        dv: &mut [f32],
    ) -> bool {
        let Sizes { queries, keys, key_dim, value_dim, .. } = self.sizes;
        let Head { q, k, kt, vt, y, dy, sums } = head;
        let mut p = vec![0f32; QUERIES * KEYS.min(self.padded())];
        let mut ds = p.clone();
        let mut fits = true;
        for start in (0..queries).step_by(QUERIES) {
            let block = start..(start + QUERIES).min(queries);
            let mut inner = [0f32; QUERIES];
            for (i, inner) in inner.iter_mut().take(block.len()).enumerate() {
                let row = (start + i) * value_dim..(start + i + 1) * value_dim;
                let (y, dy) = (&y[row.clone()], &dy[row]);
                *inner = lane_sum([y, dy], |[y, dy]| y * dy);
            }
            let mut first = true;
            let dq = &mut dq[block.start * key_dim..block.end * key_dim];
            for keys in self.blocks(&block) {
                let size = block.len() * keys.len();
                let (p, ds) = (&mut p[..size], &mut ds[..size]);
                let right = |x, width| columns(x, keys.clone(), width);
                fits &= multiply(p, rows(q, block.clone(), key_dim), right(kt, key_dim), false);
                fits &=
                    multiply(ds, rows(dy, block.clone(), value_dim), right(vt, value_dim), false);
                let each = p.chunks_exact_mut(keys.len()).zip(ds.chunks_exact_mut(keys.len()));
                for (i, (p, ds)) in each.enumerate() {
                    self.hide(at, block.start + i, &keys, p);
                    let (sum, inner) = (sums[block.start + i], inner[i]);
                    vectorized(
                        #[inline(always)]
                        || {
                            for (p, ds) in p.iter_mut().zip(ds) {
                                *p = math::exp_of_negative(*p - sum);
                                *ds = *p * (*ds - inner);
                            }
                        },
                    );
                }
                let (p, ds) = (
                    Matrix::new(p, block.len(), keys.len()),
                    Matrix::new(ds, block.len(), keys.len()),
                );
                let dv = &mut dv[keys.start * value_dim..keys.end * value_dim];
                fits &= multiply(dv, p.map(Matrix::t), rows(dy, block.clone(), value_dim), true);
                let dk = &mut dk[keys.start * key_dim..keys.end * key_dim];
                fits &= multiply(dk, ds.map(Matrix::t), rows(q, block.clone(), key_dim), true);
                fits &= multiply(dq, ds, rows(k, keys, key_dim), !first);
                first = false;
            }
            if first {
                dq.fill(0.0);
            }
            let scale = self.options.scale as f32;
            dq.iter_mut().for_each(|dq| *dq *= scale);
            for query in block.filter(|query| sums[*query] == f32::INFINITY) {
                if self.options.unseen == Unseen::Mean {
                    let share = 1.0 / keys as f32;
                    let dy = &dy[query * value_dim..][..value_dim];
                    for dv in dv.chunks_exact_mut(value_dim.max(1)) {
                        dv.iter_mut().zip(dy).for_each(|(dv, dy)| *dv += dy * share);
                    }
                }
            }
        }
        fits
    }
}

impl Heads<'_> {
    /// The gradients of the head of k and v number `index`, and of all heads of q that share it: those of q,
    /// then of k and v.
    fn gradients(
        &self,
        [q, k, v, y, dy, sums]: [&[f32]; 6],
        index: usize,
        out: &mut [f32],
    ) -> bool {
        let Sizes { queries, keys, heads, kv_heads, key_dim, value_dim, .. } = self.sizes;
        let (repeats, padded, q_len) = (self.sizes.repeats(), self.padded(), queries * key_dim);
        let of_keys = [index / kv_heads, index % kv_heads];
        let k = HeadOf { x: k, at: of_keys, dims: [keys, kv_heads, key_dim] }.padded(padded);
        let v = HeadOf { x: v, at: of_keys, dims: [keys, kv_heads, value_dim] }.padded(padded);
        let (kt, vt) = (transposed(&k, key_dim), transposed(&v, value_dim));
        let (dq, rest) = out.split_at_mut(repeats * q_len);
        let (dk, dv) = rest.split_at_mut(padded * key_dim);
        (0..repeats).all(|repeat| {
            let at = [of_keys[0], of_keys[1] * repeats + repeat];
            let q = HeadOf { x: q, at, dims: [queries, heads, key_dim] };
            let q = q.scaled(self.options.scale as f32);
            let [y, dy] = [y, dy]
                .map(|x| HeadOf { x, at, dims: [queries, heads, value_dim] }.padded(queries));
            let sums = &sums[(at[0] * heads + at[1]) * queries..];
            let one = Head { q: &q, k: &k, kt: &kt, vt: &vt, y: &y, dy: &dy, sums };
            self.backward(at, &one, &mut dq[repeat * q_len..][..q_len], dk, dv)
        })
    }
}

/// One head of everything; `kt` and `vt` are keys and values transposed.
struct Head<'a> {
    q: &'a [f32],
    k: &'a [f32],
    kt: &'a [f32],
    vt: &'a [f32],
    y: &'a [f32],
    dy: &'a [f32],
    sums: &'a [f32],
}

/// Scores to `e^(score - highest)`. Gives the factor of what was added up before under a lower highest
/// score, and the sum.
fn probabilities(row: &mut [f32], highest: &mut f32) -> (f32, f32) {
    let before = *highest;
    let now = before.max(row_max(row));
    if now == f32::NEG_INFINITY {
        // All hidden, or not a number.
        let hidden = row.iter().all(|score| *score == f32::NEG_INFINITY);
        let value = if hidden { 0.0 } else { f32::NAN };
        row.fill(value);
        return (1.0, value);
    }
    *highest = now;
    vectorized(
        #[inline(always)]
        || row.iter_mut().for_each(|score| *score = math::exp_of_negative(*score - now)),
    );
    (math::exp_of_negative(before - now), row_sum([row], |[value]| value))
}

/// The mean of all values.
fn mean(v: &[f32], keys: usize, out: &mut [f32]) {
    out.fill(0.0);
    let width = out.len();
    if width == 0 || keys == 0 {
        return;
    }
    for row in v.chunks_exact(width) {
        out.iter_mut().zip(row).for_each(|(out, v)| *out += v);
    }
    out.iter_mut().for_each(|out| *out /= keys as f32);
}

/// `out [batch, rows, heads, width] (+)= x`, of which each head's rows stand together in parts of
/// `part` values, from `offset` on.
fn scatter(
    out: &mut [f32],
    x: &[f32],
    [rows, heads, width]: [usize; 3],
    part: impl Fn(usize, usize) -> usize + Sync,
    accumulate: bool,
) {
    let sample = rows * heads * width;
    for_parts(out, sample, |start, out| {
        let batch = start / sample.max(1);
        for head in 0..heads {
            let from = part(batch, head);
            for row in 0..rows {
                let x = &x[from + row * width..][..width];
                let out = &mut out[(row * heads + head) * width..][..width];
                match accumulate {
                    true => out.iter_mut().zip(x).for_each(|(out, x)| *out += x),
                    false => out.copy_from_slice(x),
                }
            }
        }
    });
}

const MISFIT: &str = "attention: the values do not fit the shapes";

impl Kernel<Tensor> for Attention {
    fn takes_integers(&self) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, Tensor)> {
        let [q, k, v] = [inputs[0].data, inputs[1].data, inputs[2].data];
        let sizes = Sizes::new(inputs[0].dims, inputs[1].dims, inputs[2].dims)?;
        let Sizes { batch, queries, keys, heads, kv_heads, key_dim, value_dim } = sizes;
        let mask = match inputs.get(3) {
            Some(mask) => Some(Mask::new(mask.values::<u8>()?, mask.dims)),
            None => None,
        };
        let all = Heads { sizes, options: self.options, mask };
        let part = queries * (value_dim + 1);
        let fits = AtomicBool::new(true);
        let parts = build_parts(batch * heads * part, part, |start, out| {
            let index = start / part.max(1);
            let at = [index / heads, index % heads];
            let of_keys = [at[0], at[1] / sizes.repeats()];
            let q = HeadOf { x: q, at, dims: [queries, heads, key_dim] };
            let k = HeadOf { x: k, at: of_keys, dims: [keys, kv_heads, key_dim] };
            let v = HeadOf { x: v, at: of_keys, dims: [keys, kv_heads, value_dim] };
            let (q, k) = (q.scaled(self.options.scale as f32), k.padded(all.padded()));
            let v = v.padded(all.padded());
            if !all.forward(at, &q, &transposed(&k, key_dim), &v, out) {
                fits.store(false, Ordering::Relaxed);
            }
        });
        if !fits.into_inner() {
            bail!("{MISFIT}")
        }
        let mut y = zeros(batch * queries * heads * value_dim);
        let from = |batch: usize, head: usize| (batch * heads + head) * part;
        scatter(&mut y, &parts, [queries, heads, value_dim], from, false);
        let sums = parts.chunks_exact(part.max(1)).flat_map(|part| &part[queries * value_dim..]);
        let sums =
            Tensor::from_vec(sums.copied().collect(), batch * heads * queries, &Device::Cpu)?;
        Ok((vec![(y, Shape::from((batch, queries, heads, value_dim)))], sums))
    }

    fn backward(&self, sums: Tensor, pass: &mut Pass<'_>) -> Result<()> {
        let (q, k, v) = (pass.input(0), pass.input(1), pass.input(2));
        let (y, dy) = (pass.output(0), pass.dy()?);
        let sizes = Self::sizes([q, k, v])?;
        let Sizes { batch, queries, keys, heads, kv_heads, key_dim, value_dim } = sizes;
        let mask = match pass.input_count() > 3 {
            true => Some((pass.input(3).flatten_all()?.to_vec1::<u8>()?, pass.input(3).dims())),
            false => None,
        };
        let mask = mask.as_ref().map(|(values, dims)| Mask::new(values, dims));
        let all = Heads { sizes, options: self.options, mask };
        let repeats = sizes.repeats();
        // The gradients of q's heads that share keys, then of their k and v.
        let padded = all.padded();
        let (q_len, k_len, v_len) = (queries * key_dim, padded * key_dim, padded * value_dim);
        let part = repeats * q_len + k_len + v_len;
        let fits = AtomicBool::new(true);
        let parts = with_slices([q, k, v, y, dy, &sums], |values| {
            Ok(build_parts(batch * kv_heads * part, part, |start, out| {
                if !all.gradients(values, start / part.max(1), out) {
                    fits.store(false, Ordering::Relaxed);
                }
            }))
        })?;
        if !fits.into_inner() {
            bail!("{MISFIT}")
        }
        let of_keys = |batch: usize, head: usize| (batch * kv_heads + head) * part;
        pass.write(0, |dq, accumulate| {
            let from = |batch, head| of_keys(batch, head / repeats) + head % repeats * q_len;
            scatter(dq, &parts, [queries, heads, key_dim], from, accumulate);
            Ok(())
        })?;
        pass.write(1, |dk, accumulate| {
            let from = |batch, head| of_keys(batch, head) + repeats * q_len;
            scatter(dk, &parts, [keys, kv_heads, key_dim], from, accumulate);
            Ok(())
        })?;
        pass.write(2, |dv, accumulate| {
            let from = |batch, head| of_keys(batch, head) + repeats * q_len + k_len;
            scatter(dv, &parts, [keys, kv_heads, value_dim], from, accumulate);
            Ok(())
        })
    }
}
