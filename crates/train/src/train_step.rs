//! A training step of the user's own inside `fit`: adversarial training, distillation, contrastive
//! losses, with progress, callbacks and history as usual.

use crate::callbacks::CallbackState;
use crate::metrics::Goal;
use crate::model::Model;
use sconce_core::{Error, Result, Tensor};
use sconce_data::Batch;

/// What a step of the user's own is given.
pub struct StepInput<'a> {
    /// The model that `fit` was called on.
    pub model: &'a mut Model,
    /// The batch, as the source gave it.
    pub batch: &'a Batch,
    /// The seed of the run, for [`Context::training`](sconce_core::Context::training).
    pub seed: u64,
    /// Number of this step since the run began, from 0.
    pub step: u64,
}

/// A training step of the user's own: `Fit::new(10, 32).train_step(MyStep { .. })`. It may hold other
/// models and optimizers of its own.
pub trait TrainStep: Send {
    /// The names of the values it logs, in order, and which way each gets better.
    fn logged(&self) -> Vec<(&'static str, Option<Goal>)>;

    /// Trains on one batch: forward, backward and update are its own business. Gives the value of each
    /// logged name for this batch, a scalar; the log of an epoch is the mean over its samples.
    fn train_step(&mut self, input: StepInput<'_>) -> Result<Vec<Tensor>>;

    /// What it must remember to go on from a checkpoint: the weights and optimizers of its own.
    /// Default: nothing.
    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState::default())
    }

    /// Takes back what [`TrainStep::state`] gave.
    fn restore(&mut self, _state: CallbackState) -> Result<()> {
        Ok(())
    }

    /// The logged values of a batch of validation data. Default: there is no validation.
    fn test_step(&mut self, _input: StepInput<'_>) -> Result<Vec<Tensor>> {
        Err(Error::training(
            "this training step has no `test_step`; implement it, or leave out the validation data",
        ))
    }
}
