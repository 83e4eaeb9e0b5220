//! A recurrent cell over a whole sequence, as one operation.
//!
//! Shapes: z `[batch, steps, ..]`, the products of the inputs with the cell's kernel (one product for
//! all steps, made before); states `[batch, ..]`; y `[batch, ..]`, the last step, or
//! `[batch, steps, ..]`. Steps that a mask leaves out keep the states of the step before.
//!
//! The maths of a cell is a [`Cell`]: one step in differentiable operations, which the composed form
//! runs step by step, and differentiates step by step from the saved states; and, where there is one,
//! a `fused::FusedCell`, the same step in loops on the CPU.

mod conv_lstm;
mod fused;
mod gru;
mod gru_before;
mod lstm;
mod simple_rnn;
#[cfg(test)]
mod tests;

pub use conv_lstm::ConvLstm;
pub use gru::Gru;
pub use lstm::Lstm;
pub use simple_rnn::SimpleRnn;

use crate::op::{Kernel, Operation, is_cpu_f32};
use candle_core::{DType, Device, Result, Tensor, Var, bail};
use fused::FusedCell;
use sconce_core::tape::Pass;
use sconce_core::{GradientSink, Tape};

/// The maths of one step of a recurrent cell.
pub trait Cell: Clone + Send + Sync + 'static {
    /// Name for messages.
    const NAME: &'static str;

    /// Number of states; the first is the output.
    const STATES: usize;

    /// The states after a step, from its z, the states before it and the cell's weights.
    /// Differentiable.
    fn step(&self, z: &Tensor, states: &[Tensor], weights: &[Tensor]) -> Result<Vec<Tensor>>;

    /// The same in loops on the CPU, if it has that form as it is configured.
    fn fused(&self) -> Option<&dyn FusedCell> {
        None
    }
}

/// How a cell goes over a sequence.
#[derive(Clone, Default)]
pub struct Steps {
    /// Which steps count, `[batch, steps]`, not 0 where they do; `None`: all.
    pub mask: Option<Tensor>,
    /// From the last step to the first; what comes out is in the order of computation.
    pub go_backwards: bool,
    /// Whether the output of a step that does not count is 0 instead of that of the step before. Before the
    /// first step that counts it is 0 in any case.
    pub zero_output_for_mask: bool,
    /// Whether all outputs come out instead of the last.
    pub return_sequences: bool,
}

impl Steps {
    /// The place in the sequence of the step that is computed as number `step`.
    pub fn place(&self, step: usize, count: usize) -> usize {
        if self.go_backwards { count - 1 - step } else { step }
    }

    /// Which rows count at a place, as 0 and 1 that can be broadcast to states of a rank.
    pub fn counts(&self, place: usize, rank: usize) -> Result<Option<Tensor>> {
        let Some(mask) = &self.mask else { return Ok(None) };
        of_rank(&mask.narrow(1, place, 1)?.ne(0.0)?, rank).map(Some)
    }

    /// Which rows put out a state at the step that is computed as number `step`, not 0, likewise; `None`:
    /// all.
    pub fn shows(&self, step: usize, count: usize, rank: usize) -> Result<Option<Tensor>> {
        let (Some(mask), false) = (&self.mask, self.zero_output_for_mask) else {
            return self.counts(self.place(step, count), rank);
        };
        let start = if self.go_backwards { count - 1 - step } else { 0 };
        of_rank(&mask.narrow(1, start, step + 1)?.ne(0.0)?.max_keepdim(1)?, rank).map(Some)
    }
}

/// `[batch, 1]` with more axes of length 1, up to a rank.
fn of_rank(rows: &Tensor, rank: usize) -> Result<Tensor> {
    let mut dims = vec![1; rank];
    dims[0] = rows.dim(0)?;
    rows.reshape(dims)
}

/// The steps of a sequence `[batch, steps, ..]`, each `[batch, ..]`. Differentiable.
pub fn unstack(x: &Tensor) -> Result<Vec<Tensor>> {
    Unstack.apply_all(&[x])
}

/// The operation of [`unstack`].
struct Unstack;

impl Operation for Unstack {
    type Saved = ();

    fn name(&self) -> &'static str {
        "unstack"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let step = |i| inputs[0].narrow(1, i, 1)?.squeeze(1)?.contiguous();
        Ok(((0..inputs[0].dim(1)?).map(step).collect::<Result<_>>()?, ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let count = pass.input(0).dim(1)?;
        let gradients =
            (0..count).map(|i| pass.gradient_or_zeros(i)).collect::<Result<Vec<_>>>()?;
        pass.give(0, Tensor::stack(&gradients, 1)?)
    }
}

/// Runs a cell over a sequence; gives the output and the last states. `z [batch, steps, ..]` are the
/// products of the inputs, `states` those before the first step.
///
/// # Errors
/// If there are no steps, or shapes do not fit.
pub fn recurrent<C: Cell>(
    cell: C,
    steps: Steps,
    z: &Tensor,
    states: &[Tensor],
    weights: &[Tensor],
) -> Result<Vec<Tensor>> {
    let inputs: Vec<&Tensor> = std::iter::once(z).chain(states).chain(weights).collect();
    Recurrent { cell, steps }.apply_all(&inputs)
}

/// The operation; inputs z, states, weights; results the output and the last states.
#[derive(Clone)]
pub(crate) struct Recurrent<C> {
    pub(crate) cell: C,
    pub(crate) steps: Steps,
}

/// What the backward pass needs.
pub enum Saved {
    /// The states before each step, in the order of computation.
    Composed(Vec<Vec<Tensor>>),
    /// What the loops on the CPU keep of each step.
    Fused(Vec<f32>),
}

/// `yes` where rows count, else `no`.
pub fn choose(counts: &Tensor, yes: &Tensor, no: &Tensor) -> Result<Tensor> {
    counts.broadcast_as(yes.shape())?.contiguous()?.where_cond(yes, no)
}

/// The part of a state that dropout leaves for a gate.
fn masked(h: &Tensor, masks: &Option<Tensor>, gate: usize) -> Result<Tensor> {
    match masks {
        Some(masks) => h * masks.get(gate)?,
        None => Ok(h.clone()),
    }
}

/// The product of a state with the recurrent kernels of several gates, side by side.
fn gated_product(
    h: &Tensor,
    kernel: &Tensor,
    gates: usize,
    masks: &Option<Tensor>,
) -> Result<Tensor> {
    if masks.is_none() {
        return h.matmul(kernel);
    }
    let units = kernel.dim(1)? / gates;
    let product = |gate: usize| {
        let kernel = kernel.narrow(1, gate * units, units)?.contiguous()?;
        masked(h, masks, gate)?.matmul(&kernel)
    };
    Tensor::cat(&(0..gates).map(product).collect::<Result<Vec<_>>>()?, 1)
}

impl<C: Cell> Recurrent<C> {
    /// z at a place in the sequence.
    fn at(z: &Tensor, place: usize) -> Result<Tensor> {
        z.narrow(1, place, 1)?.squeeze(1)?.contiguous()
    }

    fn check(&self, z: &[usize], states: usize) -> Result<usize> {
        match z {
            [_, count, ..] if *count > 0 && states >= C::STATES => Ok(*count),
            _ => bail!(
                "{}: takes a sequence of shape [batch, steps, ..] with at least one step and {} states, \
                 got {z:?} and {states}",
                C::NAME,
                C::STATES
            ),
        }
    }
}

impl<C: Cell> Operation for Recurrent<C> {
    type Saved = Saved;

    fn name(&self) -> &'static str {
        C::NAME
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, Saved)> {
        let z = inputs[0];
        let count = self.check(z.dims(), inputs.len() - 1)?;
        let owned = |tensors: &[&Tensor]| tensors.iter().map(|t| (*t).clone()).collect::<Vec<_>>();
        let mut states = owned(&inputs[1..1 + C::STATES]);
        let weights = owned(&inputs[1 + C::STATES..]);
        let (mut outputs, mut saved) = (Vec::new(), Vec::with_capacity(count));
        for step in 0..count {
            let place = self.steps.place(step, count);
            let before = states;
            states = self.cell.step(&Self::at(z, place)?, &before, &weights)?;
            if let Some(counts) = self.steps.counts(place, before[0].rank())? {
                for (new, old) in states.iter_mut().zip(&before) {
                    *new = choose(&counts, new, old)?;
                }
            }
            if self.steps.return_sequences || step + 1 == count {
                outputs.push(match self.steps.shows(step, count, before[0].rank())? {
                    Some(shows) => choose(&shows, &states[0], &states[0].zeros_like()?)?,
                    None => states[0].clone(),
                });
            }
            saved.push(before);
        }
        let y = match self.steps.return_sequences {
            true => Tensor::stack(&outputs, 1)?,
            false => outputs.swap_remove(0),
        };
        Ok((std::iter::once(y).chain(states).collect(), Saved::Composed(saved)))
    }

    fn backward(&self, saved: Saved, pass: &mut Pass<'_>) -> Result<()> {
        let Saved::Composed(saved) = saved else { bail!("{}: saved in another form", C::NAME) };
        let z = pass.input(0);
        let count = saved.len();
        let first_weight = 1 + C::STATES;
        let variable = |x: &Tensor| Var::from_tensor(x);
        let weights = (first_weight..pass.input_count())
            .map(|i| variable(pass.input(i)))
            .collect::<Result<Vec<_>>>()?;
        let weight_tensors: Vec<Tensor> = weights.iter().map(|w| w.as_tensor().clone()).collect();
        let mut d_weights: Vec<Option<Tensor>> = vec![None; weights.len()];
        let mut d_states =
            (0..C::STATES).map(|k| pass.gradient_or_zeros(1 + k)).collect::<Result<Vec<_>>>()?;
        let mut d_z = Vec::with_capacity(count);
        for (step, before) in saved.into_iter().enumerate().rev() {
            let place = self.steps.place(step, count);
            let counts = self.steps.counts(place, before[0].rank())?;
            let dy = match pass.gradient(0) {
                Some(dy) if self.steps.return_sequences => Some(Self::at(dy, step)?),
                Some(dy) if step + 1 == count => Some(dy.clone()),
                _ => None,
            };
            if let Some(dy) = dy {
                let dy = match self.steps.shows(step, count, before[0].rank())? {
                    Some(shows) => choose(&shows, &dy, &dy.zeros_like()?)?,
                    None => dy,
                };
                d_states[0] = (&d_states[0] + dy)?;
            }
            let mut kept = None;
            if let Some(counts) = &counts {
                let zeros = d_states.iter().map(Tensor::zeros_like).collect::<Result<Vec<_>>>()?;
                let mut old = Vec::with_capacity(C::STATES);
                for (d, zeros) in d_states.iter_mut().zip(&zeros) {
                    old.push(choose(counts, zeros, d)?);
                    *d = choose(counts, d, zeros)?;
                }
                kept = Some(old);
            }
            let z_step = variable(&Self::at(z, place)?)?;
            let states = before.iter().map(variable).collect::<Result<Vec<_>>>()?;
            let state_tensors: Vec<Tensor> = states.iter().map(|s| s.as_tensor().clone()).collect();
            let (after, tape) =
                Tape::record(|| self.cell.step(&z_step, &state_tensors, &weight_tensors));
            let after = after?;
            let all = std::iter::once(&z_step).chain(&states).chain(&weights);
            let mut sink = GradientSink::new(all.map(Var::as_tensor));
            let ends: Vec<(&Tensor, &Tensor)> = after.iter().zip(&d_states).collect();
            tape.backward_from(&ends, &mut sink)?;
            let mut taken = |x: &Var| match sink.take(x) {
                Some(gradient) => Ok(gradient),
                None => x.zeros_like(),
            };
            d_z.push(taken(&z_step)?);
            d_states = states.iter().map(&mut taken).collect::<Result<Vec<_>>>()?;
            for (sum, weight) in d_weights.iter_mut().zip(&weights) {
                let gradient = taken(weight)?;
                *sum = Some(match sum.take() {
                    Some(sum) => (sum + gradient)?,
                    None => gradient,
                });
            }
            if let Some(kept) = kept {
                for (d, old) in d_states.iter_mut().zip(kept) {
                    *d = (&*d + old)?;
                }
            }
        }
        if pass.needs(0) {
            if !self.steps.go_backwards {
                d_z.reverse();
            }
            pass.give(0, Tensor::stack(&d_z, 1)?)?;
        }
        for (k, d) in d_states.into_iter().enumerate() {
            pass.give(1 + k, d)?;
        }
        for (i, d) in d_weights.into_iter().enumerate() {
            if let Some(d) = d {
                pass.give(first_weight + i, d)?;
            }
        }
        Ok(())
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<Saved>> {
        let fuses = is_cpu_f32(device, dtype) && self.cell.fused().is_some();
        fuses.then_some(self as &dyn Kernel<Saved>)
    }
}
