//! How recurrent layers go over a sequence: states, masks, and what comes out.

use crate::Call;
use sconce_core::{Args, Dims, Error, Result, Spec, Tensor};
use sconce_ops::recurrent::Steps;

/// The options of a recurrent layer.
#[derive(Clone, Copy, Default)]
pub struct Sequence {
    pub return_sequences: bool,
    pub return_state: bool,
    pub go_backwards: bool,
    pub stateful: bool,
    pub zero_output_for_mask: bool,
    /// Whether the input is that of a single step, without the axis of time.
    pub is_one_step: bool,
}

/// The input among the arguments, which is the first tensor.
pub fn input(x: &Args<Spec>) -> Result<&Spec> {
    let none = || Error::layer("", "is called without a tensor");
    x.flat().first().copied().ok_or_else(none)
}

/// The input of one step: a sequence without its axis of time.
pub fn step_input(x: &Spec) -> Result<Spec> {
    if x.dims.rank() < 3 {
        let message = format!("takes sequences of shape (batch, steps, ..), got {}", x.dims);
        return Err(Error::layer("", message));
    }
    let mut dims = x.dims.clone();
    dims.0.remove(1);
    Ok(x.with_dims(dims))
}

impl Sequence {
    /// That of a cell that is called by itself.
    pub fn of_one_step() -> Self {
        Self { return_state: true, is_one_step: true, ..Self::default() }
    }

    /// The input, as a sequence.
    pub fn inputs(&self, call: &Call<'_>) -> Result<Tensor> {
        let x = call.tensors().first().copied().cloned();
        let x = x.ok_or_else(|| Error::layer("", "is called without a tensor"))?;
        if !self.is_one_step {
            return Ok(x);
        }
        let mut dims = x.dims().to_vec();
        dims.insert(1.min(dims.len()), 1);
        Ok(sconce_ops::reshape(&x, dims)?)
    }

    /// What comes out for an input of `rank` axes; `states` are the shapes of the states.
    pub fn outputs(
        &self,
        x: &Args<Spec>,
        class_name: &str,
        rank: usize,
        states: &[Dims],
    ) -> Result<Vec<Spec>> {
        let input = input(x)?;
        if input.dims.rank() != rank {
            let message = format!(
                "{class_name} takes sequences of {rank} axes, (batch, steps, ..), got {}",
                input.dims
            );
            return Err(Error::layer("", message));
        }
        let given = x.flat().len() - 1;
        if given != 0 && given != states.len() {
            let message = format!(
                "{class_name} has {} state{}, initial_state has {given}",
                states.len(),
                if states.len() == 1 { "" } else { "s" }
            );
            return Err(Error::layer("", message));
        }
        let mut output = states.first().cloned().unwrap_or_else(|| input.dims.clone());
        if self.return_sequences {
            let steps = input.dims.0.get(1).copied().flatten();
            output.0.insert(1.min(output.rank()), steps);
        }
        let returned = if self.return_state { states } else { &[] };
        let all = std::iter::once(&output).chain(returned);
        Ok(all.map(|dims| input.with_dims(dims.clone())).collect())
    }

    /// The states before the first step: those that the call gives, or those that the batch before left,
    /// or zeros.
    fn first_states(&self, call: &Call<'_>, x: &Tensor, shapes: &[Dims]) -> Result<Vec<Tensor>> {
        let given: Vec<Tensor> = call.tensors().into_iter().skip(1).cloned().collect();
        if given.len() == shapes.len() {
            return Ok(given);
        }
        if !given.is_empty() {
            let message = format!("takes {} states, got {}", shapes.len(), given.len());
            return Err(Error::layer("", message));
        }
        let carried = if self.stateful { call.carried() } else { Vec::new() };
        if carried.is_empty() {
            let zeros = |dims: &Dims| {
                let dims: Vec<usize> = dims.0.iter().map(|dim| dim.unwrap_or(0)).collect();
                Ok(Tensor::zeros(dims, x.dtype(), x.device())?)
            };
            return shapes.iter().map(zeros).collect();
        }
        if let Some((state, expected)) =
            carried.iter().zip(shapes).find(|(state, shape)| !shape.fits(state.dims()))
        {
            let message = format!(
                "is stateful: its state of the batch before has shape {:?}, this batch needs {expected}; give \
                 batches of one size, or call `reset_states` before",
                state.dims()
            );
            return Err(Error::layer("", message));
        }
        Ok(carried)
    }
}

/// The mask that steps are left out by. As in Keras, that which the input carries counts only if the call
/// gives no states; the argument `mask` always does.
pub fn used_mask(call: &Call<'_>) -> Option<Tensor> {
    let has_states = call.tensors().len() > 1;
    let mask = if has_states { call.given_mask(0) } else { call.mask(0) };
    mask.cloned()
}

/// Runs a cell over the sequence x by `cell`, which gives the output and the last states.
pub fn run(
    call: &mut Call<'_>,
    sequence: Sequence,
    x: &Tensor,
    shapes: &[Dims],
    cell: impl FnOnce(&mut Call<'_>, Steps, &[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    let states = sequence.first_states(call, x, shapes)?;
    let mask = if sequence.is_one_step { None } else { call.mask(0).cloned() };
    let steps = Steps {
        mask: used_mask(call).filter(|_| !sequence.is_one_step),
        go_backwards: sequence.go_backwards,
        zero_output_for_mask: sequence.zero_output_for_mask,
        return_sequences: sequence.return_sequences,
    };
    let mut outputs = cell(call, steps, &states)?;
    if sequence.stateful {
        call.carry(outputs.iter().skip(1).cloned().collect());
    }
    if !sequence.return_state {
        outputs.truncate(1);
    }
    let mut masks = vec![None; outputs.len()];
    if let (true, Some(first)) = (sequence.return_sequences, masks.first_mut()) {
        *first = mask;
    }
    call.set_masks(masks);
    Ok(outputs)
}
