//! A record of one forward pass, differentiated without candle's graph.
//!
//! candle's backward pass gives every tensor a gradient of zeros and adds to it: three passes over
//! memory where none is needed, on threads of its own. `fit` records instead. The result of a recorded
//! operation is a leaf to candle (a variable), and [`Tape::backward`] walks the record from its end.
//! What plain candle operations did between recorded ones, candle differentiates.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};
use std::cell::RefCell;

/// What a tape keeps of an operation.
pub trait Recorded {
    /// A gradient for each input, or `None` where `needs` is false (or where it went to a gradient
    /// slot). All tensors are detached, the gradient is contiguous.
    fn backward(
        &self,
        inputs: &[&Tensor],
        result: &Tensor,
        gradient: &Tensor,
        needs: &[bool],
    ) -> Result<Vec<Option<Tensor>>>;
}

struct Entry {
    operation: Box<dyn Recorded>,
    inputs: Vec<Tensor>,
    result: Tensor,
}

/// The operations of one forward pass, in their order.
#[derive(Default)]
pub struct Tape(Vec<Entry>);

thread_local! {
    static RECORDING: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// Puts back what was recorded before, also if the forward pass panics.
struct Outer(Option<Tape>);

impl Drop for Outer {
    fn drop(&mut self) {
        RECORDING.replace(self.0.take());
    }
}

impl Tape {
    /// Runs a forward pass on this thread and records its operations. The result must be
    /// differentiated with [`Tape::backward`]: candle's own would stop at the last operation.
    pub fn record<T>(forward: impl FnOnce() -> T) -> (T, Self) {
        let _outer = Outer(RECORDING.replace(Some(Self::default())));
        let result = forward();
        (result, RECORDING.take().unwrap_or_default())
    }

    /// Whether this thread records.
    pub fn is_recording() -> bool {
        RECORDING.with_borrow(Option::is_some)
    }

    /// Adds an operation. Its result must be a variable (a leaf to candle), or made from its only
    /// input by candle operations that compute the same (a view).
    pub fn push(operation: Box<dyn Recorded>, inputs: Vec<Tensor>, result: &Tensor) {
        RECORDING.with_borrow_mut(|tape| {
            if let Some(tape) = tape {
                tape.0.push(Entry { operation, inputs, result: result.clone() });
            }
        });
    }

    /// The gradients of a scalar with respect to all variables that it was computed from.
    pub fn backward(mut self, loss: &Tensor) -> Result<GradStore> {
        let mut gradients = loss.backward()?;
        while let Some(Entry { operation, inputs, result }) = self.0.pop() {
            let Some(gradient) = gradients.remove(&result) else { continue };
            let needs: Vec<bool> = inputs.iter().map(Tensor::track_op).collect();
            let detached: Vec<Tensor> = inputs.iter().map(Tensor::detach).collect();
            let detached: Vec<&Tensor> = detached.iter().collect();
            let gradient = gradient.detach().contiguous()?;
            let ours = operation.backward(&detached, &result.detach(), &gradient, &needs)?;
            for (input, gradient) in inputs.iter().zip(ours) {
                let Some(gradient) = gradient else { continue };
                if input.is_variable() || self.has(input) {
                    let sum = match gradients.remove(input) {
                        Some(other) => (other + gradient)?,
                        None => gradient,
                    };
                    gradients.insert(input, sum);
                } else if input.track_op() {
                    // candle made this input: it goes on from here.
                    gradients.extend((input * gradient)?.sum_all()?.backward()?)?;
                }
            }
        }
        Ok(gradients)
    }

    fn has(&self, tensor: &Tensor) -> bool {
        self.0.iter().rev().any(|entry| entry.result.id() == tensor.id())
    }
}
