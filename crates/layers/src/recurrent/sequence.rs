//! How recurrent layers go over a sequence: states, masks, and what comes out.

use crate::Call;
use crate::initializers::Zeros;
use sconce_core::{Arg, Args, Dims, Error, Result, Spec, Tensor, WeightSpec};
use sconce_ops::recurrent::Steps;
use std::sync::Arc;

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

    /// The states as weights, which last from batch to batch.
    pub fn state_weights(&self, input: &Spec, states: &[Dims]) -> Result<Vec<WeightSpec>> {
        if !self.stateful {
            return Ok(Vec::new());
        }
        let state = |(index, dims): (usize, &Dims)| {
            let known: Option<Vec<usize>> = dims.0.iter().copied().collect();
            let known = known.ok_or_else(|| {
                let message = format!(
                    "a stateful layer must know the number of rows in a batch, its input has shape {}: \
                     state them with the model's input, as `batch_shape` in JSON or `InputLayer::of`",
                    input.dims
                );
                Error::layer("", message)
            })?;
            let zeros = Arc::new(Zeros::new());
            Ok(WeightSpec::new(&state_name(index), &known, zeros).transient())
        };
        states.iter().enumerate().map(state).collect()
    }

    /// The states before the first step.
    fn first_states(&self, call: &Call<'_>, x: &Tensor, shapes: &[Dims]) -> Result<Vec<Tensor>> {
        let argument = if self.is_one_step { "states" } else { "initial_state" };
        let mut given = Vec::new();
        if let Some(arg) = call.args().at(1, argument) {
            arg.each(&mut |value| given.push(value.tensor.clone()));
        } else if let [Arg::List(list)] = call.args().positional.as_slice() {
            // As in Keras, the states may follow the input in one list.
            list.iter().skip(1).for_each(|arg| arg.each(&mut |v| given.push(v.tensor.clone())));
        }
        if given.len() == shapes.len() {
            return Ok(given);
        }
        if !given.is_empty() {
            let message = format!("takes {} states, got {}", shapes.len(), given.len());
            return Err(Error::layer("", message));
        }
        let state = |(index, dims): (usize, &Dims)| -> Result<Tensor> {
            let dims: Vec<usize> = dims.0.iter().map(|dim| dim.unwrap_or(0)).collect();
            if !self.stateful {
                return Ok(Tensor::zeros(dims, x.dtype(), x.device())?);
            }
            let state = call.state(&state_name(index))?;
            if state.dims() != dims {
                let message = format!(
                    "is stateful with {} rows in a batch, got {}; give batches of that size",
                    state.dims().first().unwrap_or(&0),
                    x.dim(0)?
                );
                return Err(Error::layer("", message));
            }
            Ok(state.to_dtype(x.dtype())?)
        };
        shapes.iter().enumerate().map(state).collect()
    }
}

fn state_name(index: usize) -> String {
    format!("rnn_state_{index}")
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
        mask: mask.clone(),
        go_backwards: sequence.go_backwards,
        zero_output_for_mask: sequence.zero_output_for_mask,
        return_sequences: sequence.return_sequences,
    };
    let mut outputs = cell(call, steps, &states)?;
    if sequence.stateful {
        for (index, state) in outputs.iter().skip(1).enumerate() {
            call.update(&state_name(index), state.clone())?;
        }
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
