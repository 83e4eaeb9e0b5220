//! LSTM: `i, f, o = s(z_i), s(z_f), s(z_o)`, `c' = f c + i a(z_c)`, `h' = o a(c')`, where
//! `z = z_x + h kernel` in the order i, f, c, o.
//!
//! Hochreiter and Schmidhuber, "Long short-term memory", 1997.

use super::fused::{FusedCell, Size, StepBack, add_product};
use super::{Cell, gated_product};
use crate::activations::Activation;
use candle_core::{Result, Tensor};
use sconce_kernels::vectorized;
use std::sync::Arc;

/// The maths of a step. States h and c `[batch, units]`, z `[batch, 4 units]`; weights: the recurrent
/// kernel `[units, 4 units]`.
#[derive(Clone)]
pub struct Lstm {
    /// Of the candidate and the result, a.
    pub activation: Arc<dyn Activation>,
    /// Of the gates, s.
    pub recurrent_activation: Arc<dyn Activation>,
    /// Scaled masks of h for each gate, `[4, batch, units]`.
    pub recurrent_dropout: Option<Tensor>,
}

/// The states h and c after a step, from its z, whose last axis holds the gates, and c before it.
pub(super) fn states_after(
    z: &Tensor,
    c: &Tensor,
    activation: &Arc<dyn Activation>,
    recurrent_activation: &Arc<dyn Activation>,
) -> Result<Vec<Tensor>> {
    let axis = c.rank() - 1;
    let units = c.dim(axis)?;
    let gate = |i: usize| z.narrow(axis, i * units, units)?.contiguous();
    let i = recurrent_activation.call_composed(&gate(0)?)?;
    let f = recurrent_activation.call_composed(&gate(1)?)?;
    let candidate = activation.call_composed(&gate(2)?)?;
    let o = recurrent_activation.call_composed(&gate(3)?)?;
    let c = ((f * c)? + (i * candidate)?)?;
    let h = (o * activation.call_composed(&c)?)?;
    Ok(vec![h, c])
}

impl Cell for Lstm {
    const NAME: &'static str = "lstm";
    const STATES: usize = 2;

    fn step(&self, z: &Tensor, states: &[Tensor], weights: &[Tensor]) -> Result<Vec<Tensor>> {
        let (h, c) = (&states[0], &states[1]);
        let z = (z + gated_product(h, &weights[0], 4, &self.recurrent_dropout)?)?;
        states_after(&z, c, &self.activation, &self.recurrent_activation)
    }

    fn fused(&self) -> Option<&dyn FusedCell> {
        let fuses = self.activation.fuses()
            && self.recurrent_activation.fuses()
            && self.recurrent_dropout.is_none();
        fuses.then_some(self as &dyn FusedCell)
    }
}

/// Scratch: the gates i, f, candidate, o of each row; then a(c').
impl FusedCell for Lstm {
    fn gates(&self) -> usize {
        4
    }

    fn scratch(&self) -> usize {
        5
    }

    fn forward(
        &self,
        size: Size,
        scratch: &mut [f32],
        new: &mut [f32],
        old: &[f32],
        weights: &[&[f32]],
    ) -> bool {
        let Size { rows, units } = size;
        let (gates, result) = scratch.split_at_mut(rows * 4 * units);
        let (h, c) = new.split_at_mut(rows * units);
        let (old_h, old_c) = old.split_at(rows * units);
        if !add_product(gates, old_h, size.rows, weights[0]) {
            return false;
        }
        for row in gates.chunks_exact_mut(4 * units) {
            self.recurrent_activation.map_in_place(&mut row[..2 * units]);
            self.activation.map_in_place(&mut row[2 * units..3 * units]);
            self.recurrent_activation.map_in_place(&mut row[3 * units..]);
        }
        for (row, gates) in gates.chunks_exact(4 * units).enumerate() {
            let at = row * units..(row + 1) * units;
            let (c, old_c) = (&mut c[at.clone()], &old_c[at]);
            let (i, f, g) =
                (&gates[..units], &gates[units..2 * units], &gates[2 * units..3 * units]);
            vectorized(
                #[inline(always)]
                || {
                    for ((((c, old), i), f), g) in c.iter_mut().zip(old_c).zip(i).zip(f).zip(g) {
                        *c = f * old + i * g;
                    }
                },
            );
        }
        result.copy_from_slice(c);
        self.activation.map_in_place(result);
        for (row, gates) in gates.chunks_exact(4 * units).enumerate() {
            let at = row * units..(row + 1) * units;
            let (h, result, o) = (&mut h[at.clone()], &result[at], &gates[3 * units..]);
            for ((h, result), o) in h.iter_mut().zip(result).zip(o) {
                *h = o * result;
            }
        }
        true
    }

    fn backward(&self, step: StepBack<'_>) -> bool {
        let StepBack { size, scratch, old, d, dz, transposed, .. } = step;
        let Size { rows, units } = size;
        let (gates, result) = scratch.split_at(rows * 4 * units);
        let (dh, dc) = d.split_at_mut(rows * units);
        let old_c = &old[rows * units..];
        for (row, (gates, dz)) in
            gates.chunks_exact(4 * units).zip(dz.chunks_exact_mut(4 * units)).enumerate()
        {
            let at = row * units..(row + 1) * units;
            let (dh, dc) = (&mut dh[at.clone()], &mut dc[at.clone()]);
            let (result, old_c) = (&result[at.clone()], &old_c[at]);
            let (d_i, rest) = dz.split_at_mut(units);
            let (d_f, rest) = rest.split_at_mut(units);
            let (d_g, d_o) = rest.split_at_mut(units);
            let (i, f) = (&gates[..units], &gates[units..2 * units]);
            let (g, o) = (&gates[2 * units..3 * units], &gates[3 * units..]);
            for (((d_o, dh), result), o) in d_o.iter_mut().zip(&mut *dh).zip(result).zip(o) {
                *d_o = *dh * result;
                *dh *= o;
            }
            // dh is now the gradient of a(c').
            self.activation.chain_in_place(result, dh);
            vectorized(
                #[inline(always)]
                || {
                    for j in 0..units {
                        let total = dc[j] + dh[j];
                        d_i[j] = total * g[j];
                        d_f[j] = total * old_c[j];
                        d_g[j] = total * i[j];
                        dc[j] = total * f[j];
                    }
                },
            );
            self.recurrent_activation.chain_in_place(&gates[..2 * units], &mut dz[..2 * units]);
            let candidate = 2 * units..3 * units;
            self.activation.chain_in_place(&gates[candidate.clone()], &mut dz[candidate]);
            self.recurrent_activation.chain_in_place(&gates[3 * units..], &mut dz[3 * units..]);
        }
        dh.fill(0.0);
        add_product(dh, dz, size.rows, transposed)
    }
}
