//! The loops of a GRU whose reset gate comes before the product: two products a step.
//!
//! Scratch: the gates u, r and the candidate of each row; room for products, two units of each row; then what the
//! candidate's columns of the kernel multiply, r h, of each row.

use super::Gru;
use super::fused::{Size, StepBack, add_product};
use super::gru::{mix, unmix};
use sconce_kernels::{Matrix, product};

impl Gru {
    pub(super) fn forward_before(
        &self,
        size: Size,
        scratch: &mut [f32],
        new: &mut [f32],
        old: &[f32],
        kernel: &[f32],
    ) -> bool {
        let Size { rows, units } = size;
        let (gates, rest) = scratch.split_at_mut(rows * 3 * units);
        let (room, left) = rest.split_at_mut(rows * 2 * units);
        let kernel = Matrix::new(kernel, units, 3 * units);
        let product = |out: &mut [f32], h: &[f32], columns: std::ops::Range<usize>| {
            let kernel = kernel.and_then(|kernel| kernel.column_range(columns));
            match (Matrix::new(h, rows, units), kernel) {
                (Some(h), Some(kernel)) => product(out, h, kernel, false),
                _ => false,
            }
        };
        if !product(room, old, 0..2 * units) {
            return false;
        }
        let all = gates.chunks_exact_mut(3 * units).zip(room.chunks_exact(2 * units));
        let states = left.chunks_exact_mut(units).zip(old.chunks_exact(units));
        for ((gates, inner), (left, old)) in all.zip(states) {
            let gates = &mut gates[..2 * units];
            gates.iter_mut().zip(inner).for_each(|(gate, inner)| *gate += inner);
            self.recurrent_activation.map_in_place(gates);
            for ((left, r), h) in left.iter_mut().zip(&gates[units..]).zip(old) {
                *left = r * h;
            }
        }
        let inner = &mut room[..rows * units];
        if !product(inner, left, 2 * units..3 * units) {
            return false;
        }
        let all = gates.chunks_exact_mut(3 * units).zip(inner.chunks_exact(units));
        let states = new.chunks_exact_mut(units).zip(old.chunks_exact(units));
        for ((gates, inner), (new, old)) in all.zip(states) {
            let (gates, candidate) = gates.split_at_mut(2 * units);
            candidate.iter_mut().zip(inner).for_each(|(c, inner)| *c += inner);
            self.activation.map_in_place(candidate);
            mix(new, old, gates, candidate);
        }
        true
    }

    pub(super) fn backward_before(&self, step: StepBack<'_>) -> bool {
        let StepBack { size, scratch, old, d, dz, transposed, .. } = step;
        let Size { rows, units } = size;
        let gates = &scratch[..rows * 3 * units];
        let (of_gates, of_candidate) = transposed.split_at(2 * units * units);
        let mut d_candidates = vec![0.0; rows * units];
        let all = gates.chunks_exact(3 * units).zip(dz.chunks_exact_mut(3 * units));
        for (row, (gates, dz)) in all.enumerate() {
            let at = row * units..(row + 1) * units;
            let (dh, old) = (&mut d[at.clone()], &old[at.clone()]);
            let (update, candidate) = (&gates[..units], &gates[2 * units..]);
            let (d_gates, d_candidate) = dz.split_at_mut(2 * units);
            let d_update = &mut d_gates[..units];
            unmix(dh, old, [update, candidate], [d_update, d_candidate]);
            self.activation.chain_in_place(candidate, d_candidate);
            d_candidates[at].copy_from_slice(d_candidate);
        }
        let mut d_left = vec![0.0; rows * units];
        if !add_product(&mut d_left, &d_candidates, rows, of_candidate) {
            return false;
        }
        let mut d_both = vec![0.0; rows * 2 * units];
        let all = gates.chunks_exact(3 * units).zip(dz.chunks_exact_mut(3 * units));
        for (row, (gates, dz)) in all.enumerate() {
            let at = row * units..(row + 1) * units;
            let (dh, old, d_left) = (&mut d[at.clone()], &old[at.clone()], &d_left[at]);
            let (gates, d_gates) = (&gates[..2 * units], &mut dz[..2 * units]);
            for ((d, d_left), h) in d_gates[units..].iter_mut().zip(d_left).zip(old) {
                *d = d_left * h;
            }
            for ((d, d_left), r) in dh.iter_mut().zip(d_left).zip(&gates[units..]) {
                *d += d_left * r;
            }
            self.recurrent_activation.chain_in_place(gates, d_gates);
            d_both[row * 2 * units..(row + 1) * 2 * units].copy_from_slice(d_gates);
        }
        add_product(d, &d_both, rows, of_gates)
    }
}
