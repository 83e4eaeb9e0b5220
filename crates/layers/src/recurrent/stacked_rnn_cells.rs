//! StackedRNNCells: several cells as one.

use super::fields::step_outputs;
use super::rnn::states_of;
use super::sequence::input;
use crate::{Call, Child, Layer, LayerEntry};
use sconce_core::{Arg, Args, Config, Dims, Error, Result, Spec, Tensor, Value};
use std::sync::Arc;

/// Cells of which each takes the output of the one before, as one cell for [`RNN`](crate::RNN). Its states
/// are those of its cells, one after the other.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct StackedRNNCells {
    /// The cells, from the inputs on.
    pub cells: Vec<LayerEntry>,
}

impl StackedRNNCells {
    /// The input of each cell, and the shapes of its states.
    fn steps(&self, input: &Spec) -> Result<Vec<(Spec, Vec<Dims>)>> {
        let mut input = input.clone();
        let mut steps = Vec::with_capacity(self.cells.len());
        for (index, cell) in self.cells.iter().enumerate() {
            let states =
                states_of(cell, &input).map_err(|e| e.under(&format!("cells[{index}]")))?;
            let next = states.first().map(|dims| input.with_dims(dims.clone()));
            steps.push((input.clone(), states));
            input = next.unwrap_or(input);
        }
        Ok(steps)
    }

    /// Which of all states, whose number is given, is the output: the first of the last cell.
    pub(super) fn last_output(&self, count: usize) -> Result<usize> {
        let one = Spec::float(Dims(vec![None, Some(1)]));
        let of_last = self.steps(&one)?.pop().map_or(0, |(_, states)| states.len());
        Ok(count.saturating_sub(of_last))
    }
}

impl Layer for StackedRNNCells {
    fn check(&self) -> Result<()> {
        match self.cells.is_empty() {
            true => Err(Error::config("cells", "must be at least one cell")),
            false => Ok(()),
        }
    }

    fn arguments(&self) -> &'static [&'static str] {
        &["inputs", "states"]
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let steps = self.steps(input(x)?)?;
        let states: Vec<Dims> = steps.iter().flat_map(|(_, states)| states.clone()).collect();
        let mut outputs = step_outputs(x, &states)?;
        let last = steps.last().and_then(|(_, states)| states.first());
        if let (Some(output), Some(dims)) = (outputs.first_mut(), last) {
            output.dims = dims.clone();
        }
        Ok(outputs)
    }

    fn children(&self) -> Vec<Child<'_>> {
        vec![Child::Many("cells", self.cells.iter().collect())]
    }

    fn child_inputs(&self, child: &LayerEntry, x: &Args<Spec>) -> Result<Args<Spec>> {
        let steps = self.steps(input(x)?)?;
        let found = self.cells.iter().zip(steps).find(|(cell, _)| cell.is(child));
        let none = || Error::layer(child.name(), "is no cell of this stack");
        found.map(|(_, (input, _))| Args::one(input)).ok_or_else(none)
    }

    fn with_children(&self, cells: Vec<LayerEntry>) -> Result<Arc<dyn Layer>> {
        Ok(Arc::new(Self { cells }))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let mut given = call.tensors().into_iter().cloned();
        let none = || Error::layer("", "is called without a tensor");
        let mut x = given.next().ok_or_else(none)?;
        let spec = Spec { dims: Dims::known(x.dims()), dtype: x.dtype() };
        let steps = self.steps(&spec)?;
        let mut states: Vec<Tensor> = given.collect();
        let mut after = Vec::with_capacity(states.len());
        for (cell, (_, shapes)) in self.cells.iter().zip(steps) {
            if states.len() < shapes.len() {
                return Err(Error::layer("", "is called with too few states"));
            }
            let rest = states.split_off(shapes.len());
            let list = states.into_iter().map(|t| Arg::One(Value::from(t))).collect();
            let args = Args::one(Value::from(x.clone())).arg(Arg::List(list));
            let mut made = call.child(cell, args)?.into_iter().map(|value| value.tensor);
            x = made.next().unwrap_or(x);
            after.extend(made);
            states = rest;
        }
        Ok(std::iter::once(x).chain(after).collect())
    }

    fn states(&self, input: &Spec) -> Result<Option<Vec<Dims>>> {
        Ok(Some(self.steps(input)?.into_iter().flat_map(|(_, states)| states).collect()))
    }
}
