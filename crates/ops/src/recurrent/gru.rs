//! GRU: `u, r = s(z_u), s(z_r)`, `h' = u h + (1 - u) a(candidate)`, where `z = z_x + h kernel + bias` in
//! the order u, r, candidate, and the reset gate r multiplies the recurrent part of the candidate, or
//! h before the product.
//!
//! Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014; the form in which the
//! gate comes after the product is that of cuDNN.

use super::fused::{FusedCell, Size, StepBack, add_product};
use super::{Cell, gated_product, masked};
use crate::activations::Activation;
use candle_core::{Result, Tensor};
use sconce_kernels::vectorized;
use std::sync::Arc;

/// The maths of a step. State h `[batch, units]`, z `[batch, 3 units]`; weights: the recurrent kernel
/// `[units, 3 units]` and, only with `reset_after`, its bias `[3 units]`.
#[derive(Clone)]
pub struct Gru {
    /// Of the candidate, a.
    pub activation: Arc<dyn Activation>,
    /// Of the gates, s.
    pub recurrent_activation: Arc<dyn Activation>,
    /// Whether the reset gate comes after the product with the recurrent kernel.
    pub reset_after: bool,
    /// Scaled masks of h for each gate, `[3, batch, units]`.
    pub recurrent_dropout: Option<Tensor>,
}

impl Cell for Gru {
    const NAME: &'static str = "gru";
    const STATES: usize = 1;

    fn step(&self, z: &Tensor, states: &[Tensor], weights: &[Tensor]) -> Result<Vec<Tensor>> {
        let (h, kernel) = (&states[0], &weights[0]);
        let units = h.dim(1)?;
        let part = |x: &Tensor, gate: usize| x.narrow(1, gate * units, units)?.contiguous();
        let gates = |inner: &Tensor| -> Result<(Tensor, Tensor)> {
            let gate =
                |i| self.recurrent_activation.call_composed(&(part(z, i)? + part(inner, i)?)?);
            Ok((gate(0)?, gate(1)?))
        };
        let (update, candidate) = if self.reset_after {
            let inner = gated_product(h, kernel, 3, &self.recurrent_dropout)?;
            let inner = match weights.get(1) {
                Some(bias) => inner.broadcast_add(bias)?,
                None => inner,
            };
            let (update, reset) = gates(&inner)?;
            (update, (part(z, 2)? + (reset * part(&inner, 2)?)?)?)
        } else {
            let both = kernel.narrow(1, 0, 2 * units)?.contiguous()?;
            let inner = gated_product(h, &both, 2, &self.recurrent_dropout)?;
            let (update, reset) = gates(&inner)?;
            let h = (reset * masked(h, &self.recurrent_dropout, 2)?)?;
            (update, (part(z, 2)? + h.matmul(&part(kernel, 2)?)?)?)
        };
        let candidate = self.activation.call_composed(&candidate)?;
        let h = ((&update * h)? + (update.affine(-1.0, 1.0)? * candidate)?)?;
        Ok(vec![h])
    }

    fn fused(&self) -> Option<&dyn FusedCell> {
        let fuses = self.activation.fuses()
            && self.recurrent_activation.fuses()
            && self.recurrent_dropout.is_none();
        fuses.then_some(self as &dyn FusedCell)
    }
}

/// With `reset_after`; without it see `gru_before`. Scratch: the gates u, r and the candidate of each row; then the
/// recurrent products of each row.
impl FusedCell for Gru {
    fn gates(&self) -> usize {
        3
    }

    fn scratch(&self) -> usize {
        6
    }

    fn inner_differs(&self) -> bool {
        self.reset_after
    }

    fn last_operand(&self) -> Option<usize> {
        (!self.reset_after).then_some(5)
    }

    fn forward(
        &self,
        size: Size,
        scratch: &mut [f32],
        new: &mut [f32],
        old: &[f32],
        weights: &[&[f32]],
    ) -> bool {
        if !self.reset_after {
            return self.forward_before(size, scratch, new, old, weights[0]);
        }
        let Size { rows, units } = size;
        let (gates, inner) = scratch.split_at_mut(rows * 3 * units);
        match weights.get(1) {
            Some(bias) => {
                inner.chunks_exact_mut(3 * units).for_each(|row| row.copy_from_slice(bias))
            }
            None => inner.fill(0.0),
        }
        if !add_product(inner, old, size.rows, weights[0]) {
            return false;
        }
        let all = gates.chunks_exact_mut(3 * units).zip(inner.chunks_exact(3 * units));
        for (row, (gates, inner)) in all.enumerate() {
            let at = row * units..(row + 1) * units;
            let (new, old) = (&mut new[at.clone()], &old[at]);
            let (gates, candidate) = gates.split_at_mut(2 * units);
            for (gate, inner) in gates.iter_mut().zip(inner) {
                *gate += inner;
            }
            self.recurrent_activation.map_in_place(gates);
            let (update, reset) = gates.split_at(units);
            for ((c, r), inner) in candidate.iter_mut().zip(reset).zip(&inner[2 * units..]) {
                *c += r * inner;
            }
            self.activation.map_in_place(candidate);
            mix(new, old, update, candidate);
        }
        true
    }

    fn backward(&self, step: StepBack<'_>) -> bool {
        if !self.reset_after {
            return self.backward_before(step);
        }
        let StepBack { size, scratch, old, d, dz, d_inner, transposed } = step;
        let Size { rows, units } = size;
        let (gates, inner) = scratch.split_at(rows * 3 * units);
        let gradients = dz.chunks_exact_mut(3 * units).zip(d_inner.chunks_exact_mut(3 * units));
        let kept = gates.chunks_exact(3 * units).zip(inner.chunks_exact(3 * units));
        for (row, ((dz, d_inner), (gates, inner))) in gradients.zip(kept).enumerate() {
            let at = row * units..(row + 1) * units;
            let (dh, old) = (&mut d[at.clone()], &old[at]);
            let (update, reset) = (&gates[..units], &gates[units..2 * units]);
            let (candidate, inner) = (&gates[2 * units..], &inner[2 * units..]);
            let (d_gates, d_candidate) = dz.split_at_mut(2 * units);
            let (d_update, d_reset) = d_gates.split_at_mut(units);
            unmix(dh, old, [update, candidate], [d_update, d_candidate]);
            self.activation.chain_in_place(candidate, d_candidate);
            for ((d, candidate), inner) in d_reset.iter_mut().zip(&*d_candidate).zip(inner) {
                *d = candidate * inner;
            }
            self.recurrent_activation.chain_in_place(&gates[..2 * units], d_gates);
            d_inner[..2 * units].copy_from_slice(d_gates);
            for ((d, candidate), r) in d_inner[2 * units..].iter_mut().zip(&*d_candidate).zip(reset)
            {
                *d = candidate * r;
            }
        }
        add_product(d, d_inner, size.rows, transposed)
    }
}

/// `h = u h_before + (1 - u) c`.
pub(super) fn mix(new: &mut [f32], old: &[f32], update: &[f32], candidate: &[f32]) {
    for (((new, old), u), c) in new.iter_mut().zip(old).zip(update).zip(candidate) {
        *new = u * old + (1.0 - u) * c;
    }
}

/// From the gradient of [`mix`] those of u and c, and of h before in its place.
pub(super) fn unmix(
    dh: &mut [f32],
    old: &[f32],
    [update, candidate]: [&[f32]; 2],
    [d_update, d_candidate]: [&mut [f32]; 2],
) {
    vectorized(
        #[inline(always)]
        || {
            for j in 0..dh.len() {
                d_update[j] = dh[j] * (old[j] - candidate[j]);
                d_candidate[j] = dh[j] * (1.0 - update[j]);
                dh[j] *= update[j];
            }
        },
    );
}
