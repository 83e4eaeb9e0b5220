//! Everything a forward pass reads besides weights and inputs, and everything it leaves behind.

use crate::{Error, Result, Stream, Tape, random};
use candle_core::{Tensor, Var};

/// The context of one forward pass, or of all the forward passes of one training step.
///
/// Under a training context operations are recorded, so that `backward` can differentiate them; the
/// context owns the tape, unless the thread records already.
#[derive(Debug, Default)]
pub struct Context {
    training: bool,
    records: bool,
    seed: u64,
    step: u64,
    tape: Option<Tape>,
    losses: Vec<Tensor>,
    updates: Vec<(Var, Tensor)>,
}

impl Context {
    /// For prediction and evaluation: no dropout, no state updates, nothing recorded.
    pub fn inference() -> Self {
        Self::default()
    }

    /// For one training step. The same seed and step give the same dropout masks.
    pub fn training(seed: u64, step: u64) -> Self {
        Self { training: true, records: true, seed, step, ..Self::default() }
    }

    /// Whether what is computed can be differentiated. Default: in training. With `true`, layers
    /// behave as in prediction and are differentiated all the same.
    pub fn recording(mut self, records: bool) -> Self {
        self.records = records;
        self
    }

    /// Whether this pass trains.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// Whether what is computed can be differentiated.
    pub fn is_recording(&self) -> bool {
        self.records
    }

    /// The tape of this pass, begun if it must be: that of the thread, or one of the context's own, on
    /// which the thread then records for as long as the context lives.
    pub fn tape(&mut self) -> Option<&Tape> {
        if !self.records {
            return None;
        }
        if self.tape.is_none() || !Tape::is_recording() {
            self.tape = Some(Tape::current_or_new());
        }
        self.tape.as_ref()
    }

    /// A random stream of this step. Streams of different keys or indices are independent.
    pub fn stream(&self, key: u64, index: u64) -> Stream {
        let step = self.step.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ index.rotate_left(32);
        Stream::new(self.seed ^ random::key_of("dropout"), key ^ step)
    }

    /// Adds a differentiable scalar to the loss.
    pub fn add_loss(&mut self, loss: Tensor) {
        self.losses.push(loss);
    }

    /// The added losses of the pass so far, taken out.
    pub fn take_losses(&mut self) -> Vec<Tensor> {
        std::mem::take(&mut self.losses)
    }

    /// A new value for a state weight (batch statistics). Layers that run later in this step read it;
    /// the weight itself is set once the step is done.
    pub fn update(&mut self, var: &Var, value: Tensor) {
        let value = value.detach();
        match self.updates.iter_mut().find(|(other, _)| other.id() == var.id()) {
            Some((_, old)) => *old = value,
            None => self.updates.push((var.clone(), value)),
        }
    }

    /// The value that a state weight has in this step: its new one, if a layer gave one.
    pub fn state(&self, var: &Var) -> Tensor {
        let updated = self.updates.iter().find(|(other, _)| other.id() == var.id());
        updated.map_or_else(|| var.as_detached_tensor(), |(_, value)| value.clone())
    }

    /// Sets the state updates of the pass.
    pub fn apply_updates(&mut self) -> Result<()> {
        for (var, value) in self.updates.drain(..) {
            let value = value.to_dtype(var.dtype())?.contiguous()?;
            var.set(&value).map_err(Error::from)?;
        }
        Ok(())
    }
}
