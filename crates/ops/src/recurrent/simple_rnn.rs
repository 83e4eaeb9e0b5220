//! SimpleRNN: `h' = a(z_x + h kernel)`.

use super::fused::{FusedCell, Size, StepBack, add_product};
use super::{Cell, gated_product};
use crate::activations::Activation;
use candle_core::{Result, Tensor};
use std::sync::Arc;

/// The maths of a step. State h `[batch, units]`, z `[batch, units]`; weights: the recurrent kernel
/// `[units, units]`.
#[derive(Clone)]
pub struct SimpleRnn {
    /// Of the result, a.
    pub activation: Arc<dyn Activation>,
    /// A scaled mask of h, `[1, batch, units]`.
    pub recurrent_dropout: Option<Tensor>,
}

impl Cell for SimpleRnn {
    const NAME: &'static str = "simple_rnn";
    const STATES: usize = 1;

    fn step(&self, z: &Tensor, states: &[Tensor], weights: &[Tensor]) -> Result<Vec<Tensor>> {
        let z = (z + gated_product(&states[0], &weights[0], 1, &self.recurrent_dropout)?)?;
        Ok(vec![self.activation.call_composed(&z)?])
    }

    fn fused(&self) -> Option<&dyn FusedCell> {
        let fuses = self.activation.fuses() && self.recurrent_dropout.is_none();
        fuses.then_some(self as &dyn FusedCell)
    }
}

/// Scratch: h'.
impl FusedCell for SimpleRnn {
    fn gates(&self) -> usize {
        1
    }

    fn scratch(&self) -> usize {
        1
    }

    fn forward(
        &self,
        size: Size,
        scratch: &mut [f32],
        new: &mut [f32],
        old: &[f32],
        weights: &[&[f32]],
    ) -> bool {
        let fits = add_product(scratch, old, size.rows, weights[0]);
        self.activation.map_in_place(scratch);
        new.copy_from_slice(scratch);
        fits
    }

    fn backward(&self, step: StepBack<'_>) -> bool {
        let StepBack { size, scratch, d, dz, transposed, .. } = step;
        dz.copy_from_slice(d);
        self.activation.chain_in_place(scratch, dz);
        d.fill(0.0);
        add_product(d, dz, size.rows, transposed)
    }
}
