//! RNN: a cell over a sequence.

use super::fields::{Fields, HasFields};
use super::sequence::{Sequence, input, run, step_input};
use super::{GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells};
use crate::{Call, Child, Layer, LayerEntry};
use sconce_core::{Arg, Args, Config, Dims, Error, Result, Spec, Tensor, Value};
use sconce_ops::recurrent::{Steps, choose, unstack};
use std::sync::Arc;

/// A cell over a sequence. A cell is a layer that is called with the input of a step and the states before
/// it, gives an output and the states after it, and says by [`Layer::states`] which shapes they have.
///
/// x `[batch, steps, ..]`, y `[batch, ..]` or `[batch, steps, ..]`. A call may give `initial_state`, the
/// states of stacked cells one after the other. Masked steps keep the states.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct RNN {
    /// The cell: an `LSTMCell`, `GRUCell`, `SimpleRNNCell`, `StackedRNNCells`, or one of your own.
    pub cell: LayerEntry,
    /// Whether the outputs of all steps come out instead of the last.
    #[config(default = false)]
    pub return_sequences: bool,
    /// Whether the last states come out too, after the output.
    #[config(default = false)]
    pub return_state: bool,
    /// Whether it goes from the last step to the first; what comes out is in that order.
    #[config(default = false)]
    pub go_backwards: bool,
    /// Whether the states of a batch are where the next batch begins, row by row.
    #[config(default = false)]
    pub stateful: bool,
    /// Keras's flag for unrolled loops; results do not depend on it.
    #[config(default = false)]
    pub unroll: bool,
    /// Whether the output of a masked step is 0 instead of that of the step before.
    #[config(default = false)]
    pub zero_output_for_mask: bool,
}

/// The fields of a cell that runs as one operation.
fn in_one(cell: &LayerEntry) -> Option<Fields<'_>> {
    let lstm = cell.downcast::<LSTMCell>().map(HasFields::fields);
    let gru = || cell.downcast::<GRUCell>().map(HasFields::fields);
    let simple = || cell.downcast::<SimpleRNNCell>().map(HasFields::fields);
    lstm.or_else(gru).or_else(simple)
}

/// The shapes of a cell's states for the input of a step.
pub(super) fn states_of(cell: &LayerEntry, input: &Spec) -> Result<Vec<Dims>> {
    let states = cell.layer().states(input)?.filter(|states| !states.is_empty());
    states.ok_or_else(|| {
        let message = format!(
            "{} is no recurrent cell: it says of no states (`Layer::states`). The layers that run \
             sequences by themselves, such as LSTM, need no RNN around them",
            cell.class_name()
        );
        Error::config("cell", message)
    })
}

impl RNN {
    fn sequence(&self) -> Sequence {
        Sequence {
            return_sequences: self.return_sequences,
            return_state: self.return_state,
            go_backwards: self.go_backwards,
            stateful: self.stateful,
            zero_output_for_mask: self.zero_output_for_mask,
            is_one_step: false,
        }
    }

    fn shapes(&self, x: &Spec) -> Result<Vec<Dims>> {
        states_of(&self.cell, &step_input(x)?)
    }

    /// Runs a cell step by step.
    fn step_by_step(
        &self,
        call: &mut Call<'_>,
        x: &Tensor,
        steps: &Steps,
        states: &[Tensor],
    ) -> Result<Vec<Tensor>> {
        // Of stacked cells, what a masked step puts out is the first state of the last one.
        let output_state = match self.cell.downcast::<StackedRNNCells>() {
            Some(stacked) => stacked.last_output(states.len())?,
            None => 0,
        };
        let inputs = unstack(x)?;
        let (count, mut states) = (inputs.len(), states.to_vec());
        let mut outputs = Vec::new();
        for step in 0..count {
            let place = steps.place(step, count);
            let list = states.iter().cloned().map(|t| Arg::One(Value::from(t))).collect();
            let args = Args::one(Value::from(inputs[place].clone())).arg(Arg::List(list));
            let made = call.child(&self.cell, args)?;
            let mut made = made.into_iter().map(|value| value.tensor);
            let missing = || Error::layer("", "its cell gave no output");
            let mut output = made.next().ok_or_else(missing)?;
            let mut after: Vec<Tensor> = made.collect();
            if after.len() != states.len() {
                let message =
                    format!("its cell took {} states and gave {}", states.len(), after.len());
                return Err(Error::layer("", message));
            }
            let is_last = step + 1 == count;
            if let Some(counts) = steps.counts(place, output.rank())? {
                let (zeros, shows) =
                    (output.zeros_like()?, steps.shows(step, count, output.rank())?);
                let other = match shows.filter(|_| !steps.zero_output_for_mask) {
                    Some(shows) => choose(&shows, &states[output_state], &zeros)?,
                    None => zeros,
                };
                output = choose(&counts, &output, &other)?;
            }
            for (new, old) in after.iter_mut().zip(&states) {
                if let Some(counts) = steps.counts(place, old.rank())? {
                    *new = choose(&counts, new, old)?;
                }
            }
            states = after;
            if steps.return_sequences || is_last {
                outputs.push(output);
            }
        }
        let y = match (steps.return_sequences, outputs.pop()) {
            (false, Some(last)) => last,
            (true, Some(last)) => {
                outputs.push(last);
                Tensor::stack(&outputs, 1)?
            }
            (_, None) => return Err(Error::layer("", "takes sequences of at least one step")),
        };
        Ok(std::iter::once(y).chain(states).collect())
    }
}

impl Layer for RNN {
    fn arguments(&self) -> &'static [&'static str] {
        &["sequences", "initial_state"]
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let input = input(x)?;
        let states = self.shapes(input)?;
        let mut outputs = self.sequence().outputs(x, "RNN", input.dims.rank(), &states)?;
        // A cell's output need not look like its state.
        let step = step_input(input)?;
        let of = |dims: &Dims| Arg::One(step.with_dims(dims.clone()));
        let args = Args::one(step.clone()).arg(Arg::List(states.iter().map(of).collect()));
        let made = self.cell.outputs(&args)?;
        if let (Some(first), Some(output)) = (outputs.first_mut(), made.into_iter().next()) {
            let mut dims = output.dims;
            if self.return_sequences {
                dims.0.insert(1.min(dims.rank()), input.dims.0.get(1).copied().flatten());
            }
            first.dims = dims;
        }
        Ok(outputs)
    }

    fn children(&self) -> Vec<Child<'_>> {
        vec![Child::One("cell", &self.cell)]
    }

    fn child_inputs(&self, _: &LayerEntry, x: &Args<Spec>) -> Result<Args<Spec>> {
        Ok(Args::one(step_input(input(x)?)?))
    }

    fn with_children(&self, children: Vec<LayerEntry>) -> Result<Arc<dyn Layer>> {
        let cell = children.into_iter().next().unwrap_or_else(|| self.cell.clone());
        Ok(Arc::new(Self { cell, ..self.clone() }))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        if let Some(fields) = in_one(&self.cell) {
            return fields
                .run(call, self.sequence(), &|call, name| call.find_weight_of(&self.cell, name));
        }
        let x = self.sequence().inputs(call)?;
        let shapes = self.shapes(&Spec { dims: Dims::known(x.dims()), dtype: x.dtype() })?;
        run(call, self.sequence(), &x, &shapes, |call, steps, states| {
            self.step_by_step(call, &x, &steps, states)
        })
    }

    fn supports_masking(&self) -> bool {
        true
    }
}
