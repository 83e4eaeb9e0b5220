//! Everything a forward pass reads besides weights and inputs, and everything it leaves behind.

use crate::{Error, Result, Stream, Tape, random};
use candle_core::{Tensor, Var};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    carried: Vec<(Arc<Carried>, Vec<Tensor>)>,
}

/// What a layer keeps from batch to batch besides its weights, as the states of a stateful recurrent
/// layer: nothing at first.
#[derive(Debug, Default)]
pub struct Carried(Mutex<Vec<Tensor>>);

impl Carried {
    /// What was kept last.
    pub fn get(&self) -> Vec<Tensor> {
        self.lock().clone()
    }

    /// Sets it, to what a checkpoint held.
    pub fn set(&self, values: Vec<Tensor>) {
        *self.lock() = values;
    }

    /// Forgets it.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Tensor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    /// The tape that this pass is recorded on: that of the thread, or one begun here, on which the
    /// thread then records for as long as the context lives.
    pub fn tape(&mut self) -> Option<Tape> {
        if !self.records {
            return None;
        }
        let within_another = self.tape.is_some() && Tape::is_recording();
        let tape = Tape::current_or_new();
        if !within_another {
            self.tape = Some(tape.clone());
        }
        Some(tape)
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

    /// What a layer shall keep for the next batch, once the step is done.
    pub fn carry(&mut self, carried: &Arc<Carried>, values: Vec<Tensor>) {
        let values = values.iter().map(Tensor::detach).collect();
        match self.carried.iter_mut().find(|(other, _)| Arc::ptr_eq(other, carried)) {
            Some((_, old)) => *old = values,
            None => self.carried.push((carried.clone(), values)),
        }
    }

    /// Sets the state updates of the pass, and what layers keep for the next one.
    pub fn apply_updates(&mut self) -> Result<()> {
        for (var, value) in self.updates.drain(..) {
            // `Var::set` refuses a value that shares the variable's memory.
            let value = value.to_dtype(var.dtype())?.force_contiguous()?;
            var.set(&value).map_err(Error::from)?;
        }
        for (carried, values) in self.carried.drain(..) {
            *carried.lock() = values;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.to_vec1().unwrap()
    }

    #[test]
    fn state_is_read_anew_in_the_step_and_set_after_it() {
        let state = Var::new(&[1f32, 2.0], &Device::Cpu).unwrap();
        let mut cx = Context::training(0, 0);
        assert_eq!(values(&cx.state(&state)), [1.0, 2.0]);
        assert!(!cx.state(&state).track_op());
        cx.update(&state, tensor(&[3.0, 4.0]));
        let next = (cx.state(&state) * 2.0).unwrap();
        cx.update(&state, next);
        assert_eq!(values(&cx.state(&state)), [6.0, 8.0]);
        assert_eq!(values(&state), [1.0, 2.0], "the step is not done");
        cx.apply_updates().unwrap();
        assert_eq!(values(&state), [6.0, 8.0]);
        state.set(&tensor(&[0.0, 0.0])).unwrap();
        cx.apply_updates().unwrap();
        assert_eq!(values(&state), [0.0, 0.0], "an update is set once");
    }

    #[test]
    fn updates_take_the_type_of_the_state_and_may_be_its_own_value() {
        let count = Var::new(&[1i64], &Device::Cpu).unwrap();
        let mut cx = Context::training(0, 0);
        cx.update(&count, tensor(&[41.0]));
        cx.apply_updates().unwrap();
        assert_eq!(count.to_vec1::<i64>().unwrap(), [41]);
        let same = cx.state(&count);
        cx.update(&count, same);
        cx.apply_updates().unwrap();
        assert_eq!(count.to_vec1::<i64>().unwrap(), [41]);
        assert_eq!(count.dtype(), DType::I64);
    }

    #[test]
    fn updates_do_not_hold_the_graph() {
        let (state, x) =
            (Var::new(&[1f32], &Device::Cpu).unwrap(), Var::new(&[2f32], &Device::Cpu));
        let mut cx = Context::training(0, 0);
        cx.update(&state, (x.unwrap().as_tensor() * 2.0).unwrap());
        assert!(!cx.state(&state).track_op());
    }

    #[test]
    fn streams_differ_by_seed_step_key_and_index_and_repeat() {
        let first =
            |seed, step, key, index| Context::training(seed, step).stream(key, index).next_u64();
        let mut seen = std::collections::HashSet::new();
        for seed in 0..3 {
            for step in 0..5 {
                for key in 0..5 {
                    for index in 0..3 {
                        assert!(seen.insert(first(seed, step, key, index)));
                    }
                }
            }
        }
        assert_eq!(first(1, 2, 3, 1), first(1, 2, 3, 1));
    }

    #[test]
    fn losses_are_taken_out_once_in_order() {
        let mut cx = Context::training(0, 0);
        cx.add_loss(tensor(&[1.0]));
        cx.add_loss(tensor(&[2.0]));
        assert_eq!(cx.take_losses().iter().map(values).collect::<Vec<_>>(), [[1.0], [2.0]]);
        assert!(cx.take_losses().is_empty());
    }

    #[test]
    fn the_tape_ends_with_its_contexts() {
        assert!(Context::inference().tape().is_none());
        assert!(!Context::inference().is_recording() && !Tape::is_recording());
        let mut a = Context::training(0, 0);
        assert!(!Tape::is_recording(), "nothing ran yet");
        a.tape().unwrap();
        let mut b = Context::inference().recording(true);
        assert!(!b.is_training());
        b.tape().unwrap();
        drop(a);
        assert!(Tape::is_recording(), "the other one shares it");
        drop(b);
        assert!(!Tape::is_recording());
    }

    /// A record inside the pass, or one that has ended, is not the tape of what runs next.
    #[test]
    fn the_tape_is_the_one_that_the_thread_records_on() {
        let mut cx = Context::training(0, 0);
        let is_current = |cx: &mut Context| {
            let view = Var::new(&[1f32], &Device::Cpu).unwrap();
            let plain = (view.as_tensor() * 2.0).unwrap();
            let tape = cx.tape().unwrap();
            let before = tape.len();
            Tape::current().unwrap().seal(&plain).unwrap();
            tape.len() == before + 1
        };
        let (_, inner) = Tape::record(|| assert!(is_current(&mut cx)));
        assert_eq!(inner.len(), 1);
        assert!(is_current(&mut cx));
        let (_, inner) = Tape::record(|| assert!(is_current(&mut cx)));
        assert_eq!(inner.len(), 1);
        assert!(is_current(&mut cx), "its own goes on");
        assert_eq!(cx.tape().unwrap().len(), 2);
    }
}
