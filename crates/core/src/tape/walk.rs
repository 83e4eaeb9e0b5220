//! The backward pass over a record: each entry once, from the last to the first.

use super::gather::{Gathered, GradientSink, gather, gather_in_place};
use super::region::{self, Region};
use super::{ById, Entry, Input, Kind, Record, Target};
use crate::few::try_few;
use candle_core::{Result, Tensor, bail};
use std::vec::Drain;

/// A backward pass at work.
struct Walk {
    gathered: Vec<Option<Gathered>>,
    places: ById<usize>,
    sink: GradientSink,
}

/// Walks a record back from these results with their gradients.
pub(super) fn backward(
    record: &mut Record,
    results: &[(&Tensor, &Tensor)],
    sink: &mut GradientSink,
) -> Result<()> {
    let mut gathered = std::mem::take(&mut record.gathered);
    gathered.resize_with(record.count, || None);
    let places = std::mem::take(&mut record.places);
    let mut walk = Walk { gathered, places, sink: std::mem::take(sink) };
    walk.sink.forget();
    let walked = walk.run(record.entries.drain(..), results);
    *sink = walk.sink;
    (record.gathered, record.places) = (walk.gathered, walk.places);
    walked
}

impl Walk {
    fn run(&mut self, entries: Drain<'_, Entry>, results: &[(&Tensor, &Tensor)]) -> Result<()> {
        for (result, gradient) in results {
            match self.places.get(&result.id()) {
                Some(place) => gather(&mut self.gathered[*place], (*gradient).clone())?,
                None => self.region(result, gradient)?,
            }
        }
        for entry in entries.rev() {
            let count = entry.outputs.len();
            let places = self.gathered[entry.first..entry.first + count].iter_mut();
            let taken = try_few(
                places.map(|place| place.take().map(|g| g.tensor.contiguous()).transpose()),
            )?;
            if taken.iter().all(Option::is_none) {
                continue;
            }
            match entry.kind {
                Kind::Seal(end) => {
                    if let Some(Some(gradient)) = taken.first() {
                        self.region(&end, gradient)?;
                    }
                }
                Kind::Operation { operation, inputs } => operation.backward(&mut Pass {
                    inputs: &inputs,
                    outputs: &entry.outputs,
                    gradients: &taken,
                    walk: self,
                })?,
            }
        }
        Ok(())
    }

    /// Lets candle differentiate `sum(end * gradient)` down to recorded results and variables.
    fn region(&mut self, end: &Tensor, gradient: &Tensor) -> Result<()> {
        if end.is_variable() {
            return self.sink.give(end.id(), gradient.clone());
        }
        if !end.track_op() {
            return Ok(());
        }
        let Region { results, tensors } = region::differentiate(end, gradient)?;
        for (id, gradient) in results {
            // A result that is sealed stands on another tape: on this one it would be an operation's.
            let place = self.places.get(&id).filter(|_| id != end.id());
            let Some(place) = place else {
                bail!(
                    "the loss depends on a result that another tape recorded: run the whole forward \
                     pass, and `backward`, under one `Context::training`, `value_and_grad` or \
                     `Tape::record`, and differentiate each loss once"
                )
            };
            gather(&mut self.gathered[*place], gradient)?;
        }
        // Those of this region only: a model has as many regions as it has layers in plain code. Each
        // variable has one gradient here, so the order of the map is none of the result.
        for id in tensors.get_ids() {
            if let (true, Some(gradient)) = (self.sink.watches(*id), tensors.get_id(*id)) {
                self.sink.give(*id, gradient.detach())?;
            }
        }
        Ok(())
    }

    fn needs(&self, target: Target) -> bool {
        match target {
            Target::Nowhere => false,
            Target::Place(_) => true,
            Target::Variable(id) => self.sink.watches(id),
        }
    }

    fn give(&mut self, target: Target, gradient: Tensor) -> Result<()> {
        match target {
            Target::Nowhere => Ok(()),
            Target::Place(place) => gather(&mut self.gathered[place], gradient),
            Target::Variable(id) => self.sink.give(id, gradient),
        }
    }

    fn write(
        &mut self,
        target: Target,
        like: &Tensor,
        write: &mut dyn FnMut(&mut [f32], bool) -> Result<()>,
    ) -> Result<()> {
        match target {
            Target::Nowhere => Ok(()),
            Target::Place(place) => gather_in_place(&mut self.gathered[place], like, write),
            Target::Variable(id) => self.sink.write(id, like, write),
        }
    }

    fn write_rows(
        &mut self,
        target: Target,
        like: &Tensor,
        rows: &[u32],
        add: &mut dyn FnMut(&mut [f32]) -> Result<()>,
    ) -> Result<()> {
        match target {
            Target::Nowhere => Ok(()),
            Target::Place(place) => {
                gather_in_place(&mut self.gathered[place], like, |values, _| add(values))
            }
            Target::Variable(id) => self.sink.write_rows(id, like, rows, add),
        }
    }
}

/// The backward pass of one operation: its inputs, its results, their gradients, and where the
/// gradients of the inputs go.
pub struct Pass<'a> {
    inputs: &'a [Input],
    outputs: &'a [Tensor],
    gradients: &'a [Option<Tensor>],
    walk: &'a mut Walk,
}

impl<'a> Pass<'a> {
    /// Number of inputs.
    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// An input: detached, unless the operation ran in a fused form, which reads memory only.
    pub fn input(&self, index: usize) -> &'a Tensor {
        &self.inputs[index].value
    }

    /// A result: detached, unless the operation ran in a fused form, which reads memory only.
    pub fn output(&self, index: usize) -> &'a Tensor {
        &self.outputs[index]
    }

    /// The gradient of a result, contiguous; `None` if nothing was computed from it.
    pub fn gradient(&self, index: usize) -> Option<&'a Tensor> {
        self.gradients[index].as_ref()
    }

    /// The gradient of the only result of an operation.
    pub fn dy(&self) -> Result<&'a Tensor> {
        match self.gradients {
            [Some(gradient)] => Ok(gradient),
            other => bail!("an operation with {} results has no single gradient", other.len()),
        }
    }

    /// The gradient of a result, or zeros if nothing was computed from it.
    pub fn gradient_or_zeros(&self, index: usize) -> Result<Tensor> {
        match self.gradient(index) {
            Some(gradient) => Ok(gradient.clone()),
            None => self.output(index).zeros_like(),
        }
    }

    /// Whether an input needs its gradient.
    pub fn needs(&self, index: usize) -> bool {
        self.walk.needs(self.inputs[index].target)
    }

    /// Gives an input its gradient (a part of it: what it gets elsewhere is added).
    pub fn give(&mut self, index: usize, gradient: Tensor) -> Result<()> {
        let input = &self.inputs[index];
        if gradient.dims() != input.value.dims() {
            bail!(
                "input {index} has shape {:?}, its gradient {:?}",
                input.value.dims(),
                gradient.dims()
            )
        }
        self.walk.give(input.target, gradient.detach())
    }

    /// As [`Pass::give`], in place, for f32 on the CPU: `write(values, accumulate)` must overwrite the
    /// values, or add to them if `accumulate`. Not called if the input needs no gradient.
    pub fn write(
        &mut self,
        index: usize,
        mut write: impl FnMut(&mut [f32], bool) -> Result<()>,
    ) -> Result<()> {
        let input = &self.inputs[index];
        if !self.walk.needs(input.target) {
            return Ok(());
        }
        self.walk.write(input.target, &input.value, &mut write)
    }

    /// As [`Pass::write`], of a gradient that is 0 but in some rows (of the first axis, in any order, also several
    /// times): `add` must add to those rows and leave the others. An optimizer that leaves alone what has no
    /// gradient then reads no others.
    pub fn write_rows(
        &mut self,
        index: usize,
        rows: &[u32],
        mut add: impl FnMut(&mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let input = &self.inputs[index];
        if !self.walk.needs(input.target) {
            return Ok(());
        }
        self.walk.write_rows(input.target, &input.value, rows, &mut add)
    }
}
