//! Everything a forward pass reads besides weights and inputs, and everything it leaves behind.

use crate::{Error, Result, Stream, random};
use candle_core::{Tensor, Var};

/// The context of one forward pass.
///
/// A layer reads [`Context::training`] and [`Context::stream`], and may leave penalties
/// ([`Context::add_loss`]) and new values of its state ([`Context::update`]).
#[derive(Debug, Default)]
pub struct Context {
    training: bool,
    slots: bool,
    seed: u64,
    step: u64,
    lane: u64,
    losses: Vec<Tensor>,
    updates: Vec<(Var, Tensor)>,
}

impl Context {
    /// For prediction and evaluation: no dropout, no state updates.
    pub fn inference() -> Self {
        Self::default()
    }

    /// For one training step. The same seed and step give the same dropout masks.
    pub fn training(seed: u64, step: u64) -> Self {
        Self { training: true, seed, step, ..Self::default() }
    }

    /// Sends gradients of weights to their persistent buffers instead of candle's store. Only for
    /// loops that read them with [`crate::Store::backward`] before the next step.
    pub fn with_slots(mut self) -> Self {
        self.slots = true;
        self
    }

    /// Whether gradients of weights go to their persistent buffers.
    pub fn slots(&self) -> bool {
        self.slots
    }

    /// Whether this pass trains.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// Enters a use of a layer (a node of the graph): its random stream is named by the node's key.
    pub fn enter(&mut self, lane: u64) {
        self.lane = lane;
    }

    /// The random stream of this layer use at this step. A layer that draws twice derives a second
    /// stream with `index`.
    pub fn stream(&self, index: u64) -> Stream {
        let step = self.step.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ index.rotate_left(32);
        Stream::new(self.seed ^ random::key_of("dropout"), self.lane ^ step)
    }

    /// Adds a differentiable scalar to the loss.
    pub fn add_loss(&mut self, loss: Tensor) {
        self.losses.push(loss);
    }

    /// The added losses of the pass so far, taken out.
    pub fn take_losses(&mut self) -> Vec<Tensor> {
        std::mem::take(&mut self.losses)
    }

    /// A new value for a state weight (batch statistics), set once the step is done.
    pub fn update(&mut self, var: &Var, value: Tensor) {
        self.updates.push((var.clone(), value.detach()));
    }

    /// Sets the state updates of the pass.
    pub fn apply_updates(&mut self) -> Result<()> {
        for (var, value) in self.updates.drain(..) {
            var.set(&value).map_err(Error::from)?;
        }
        Ok(())
    }
}
