//! Gradients as they are gathered: summed where several arrive, in place where nobody else holds the
//! memory; and the sink that those of variables end up in.

use super::ById;
use candle_core::{DType, Result, Tensor, TensorId};
use sconce_kernels::{map2, with_slice, with_slice_mut, zeros};
use std::sync::Arc;

/// Rows of the first axis, ascending, each once.
pub type Rows = Arc<[u32]>;

/// A gradient that may grow.
pub(super) struct Gathered {
    pub tensor: Tensor,
    /// Whether nobody else holds its memory, so that it can be added to in place.
    owned: bool,
}

/// Adds a gradient to what was gathered.
pub(super) fn gather(gathered: &mut Option<Gathered>, gradient: Tensor) -> Result<()> {
    *gathered = Some(match gathered.take() {
        None => Gathered { tensor: gradient, owned: false },
        Some(before) => Gathered { tensor: sum(&before.tensor, &gradient)?, owned: true },
    });
    Ok(())
}

/// Lets a kernel write a gradient, or add to what was gathered.
pub(super) fn gather_in_place(
    gathered: &mut Option<Gathered>,
    like: &Tensor,
    mut write: impl FnMut(&mut [f32], bool) -> Result<()>,
) -> Result<()> {
    match gathered {
        Some(before) if before.owned => {
            with_slice_mut(&before.tensor, |values| write(values, true))
        }
        _ => {
            let mut values = zeros(like.elem_count());
            write(&mut values, false)?;
            let tensor = Tensor::from_vec(values, like.shape(), like.device())?;
            match gathered {
                Some(_) => gather(gathered, tensor),
                None => {
                    *gathered = Some(Gathered { tensor, owned: true });
                    Ok(())
                }
            }
        }
    }
}

fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let fuses = |t: &Tensor| t.device().is_cpu() && t.dtype() == DType::F32 && t.is_contiguous();
    if fuses(a) && fuses(b) && a.dims() == b.dims() {
        let values = with_slice(a, |a| with_slice(b, |b| Ok(map2(a, b, |a, b| a + b))))?;
        return Tensor::from_vec(values, a.shape(), a.device());
    }
    a + b
}

/// Where the gradients of variables end up: one buffer for each, which a sink that is used again
/// writes anew, so that a step allocates none. Each backward pass has its own; replicas of a model
/// can share its weights.
#[derive(Default)]
pub struct GradientSink {
    order: Vec<TensorId>,
    slots: ById<SinkSlot>,
}

#[derive(Default)]
struct SinkSlot {
    buffer: Option<Tensor>,
    gathered: Option<Gathered>,
    /// Outside which rows both are 0; `None`: they may be anything anywhere.
    rows: Option<Rows>,
}

impl GradientSink {
    /// A sink for the gradients of these variables.
    pub fn new<'a>(variables: impl IntoIterator<Item = &'a Tensor>) -> Self {
        let mut sink = Self::default();
        for variable in variables {
            if sink.slots.insert(variable.id(), SinkSlot::default()).is_none() {
                sink.order.push(variable.id());
            }
        }
        sink
    }

    /// Whether it watches exactly these variables, in this order.
    pub fn is_for<'a>(&self, variables: impl Iterator<Item = &'a Tensor>) -> bool {
        self.order.iter().copied().eq(variables.map(Tensor::id))
    }

    /// Drops the gradients that nobody took out of an earlier pass.
    pub(super) fn forget(&mut self) {
        self.slots.values_mut().for_each(|slot| slot.gathered = None);
    }

    /// Adds a gradient to a variable's, if it is watched.
    pub(super) fn give(&mut self, id: TensorId, gradient: Tensor) -> Result<()> {
        match self.slots.get_mut(&id) {
            Some(slot) => {
                slot.rows = None;
                gather(&mut slot.gathered, gradient)
            }
            None => Ok(()),
        }
    }

    pub(super) fn watches(&self, id: TensorId) -> bool {
        self.slots.contains_key(&id)
    }

    pub(super) fn write(
        &mut self,
        id: TensorId,
        like: &Tensor,
        write: &mut dyn FnMut(&mut [f32], bool) -> Result<()>,
    ) -> Result<()> {
        let Some(slot) = self.slots.get_mut(&id) else { return Ok(()) };
        slot.rows = None;
        slot.write(like, write)
    }

    /// As [`GradientSink::write`], of a kernel that adds to some rows only: of a buffer that is used again just
    /// the rows of the pass before are cleared.
    pub(super) fn write_rows(
        &mut self,
        id: TensorId,
        like: &Tensor,
        rows: &[u32],
        add: &mut dyn FnMut(&mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let Some(slot) = self.slots.get_mut(&id) else { return Ok(()) };
        let before = slot.rows.take();
        let is_first = slot.gathered.is_none();
        slot.write(like, &mut |values, accumulate| {
            if !accumulate {
                clear(values, like.dim(0)?, before.as_deref());
            }
            add(values)
        })?;
        let mut all = rows.to_vec();
        if !is_first {
            // What another kernel wrote may be anywhere.
            let Some(before) = before else { return Ok(()) };
            all.extend_from_slice(&before);
        }
        all.sort_unstable();
        all.dedup();
        slot.rows = Some(all.into());
        Ok(())
    }

    /// The gradient of a variable, taken out; `None`: the loss does not depend on it. Its memory may be
    /// the sink's buffer, which the sink's next backward pass overwrites.
    pub fn take(&mut self, variable: &Tensor) -> Option<Tensor> {
        self.take_with_rows(variable).map(|(gradient, _)| gradient)
    }

    /// As [`GradientSink::take`], with the rows outside which it is 0, if they are known.
    pub fn take_with_rows(&mut self, variable: &Tensor) -> Option<(Tensor, Option<Rows>)> {
        let slot = self.slots.get_mut(&variable.id())?;
        let gathered = slot.gathered.take()?;
        Some((gathered.tensor, slot.rows.clone()))
    }
}

impl SinkSlot {
    fn write(
        &mut self,
        like: &Tensor,
        write: &mut dyn FnMut(&mut [f32], bool) -> Result<()>,
    ) -> Result<()> {
        match (&self.gathered, &self.buffer) {
            (None, Some(buffer)) => {
                with_slice_mut(buffer, |values| write(values, false))?;
                self.gathered = Some(Gathered { tensor: buffer.clone(), owned: true });
            }
            (None, None) => {
                gather_in_place(&mut self.gathered, like, write)?;
                self.buffer = self.gathered.as_ref().map(|g| g.tensor.clone());
            }
            (Some(_), _) => gather_in_place(&mut self.gathered, like, write)?,
        }
        Ok(())
    }
}

/// Sets all values to 0, of `count` rows of which only some may differ from it.
fn clear(values: &mut [f32], count: usize, rows: Option<&[u32]>) {
    let Some(rows) = rows else { return values.fill(0.0) };
    let width = values.len() / count.max(1);
    for row in rows {
        let start = *row as usize * width;
        if let Some(row) = values.get_mut(start..start + width) {
            row.fill(0.0);
        }
    }
}
