//! The tape: what a forward pass did, and how it is differentiated, on every device.
//!
//! An operation of ours computes from detached inputs and puts an entry on the tape of its thread.
//! Its results are tracked tensors whose candle operation gives the gradient that arrives there back
//! to the tape; to anybody else who differentiates through them (candle's own `backward`) it is an
//! error, since candle cannot see what lies behind. [`Tape::backward`] walks the entries from the
//! last to the first, each once, so the time is linear in their number.
//!
//! Plain candle code may stand between recorded operations, as in layers and losses of the user's
//! own. When a recorded operation takes what candle made, the tape notes the place (a seal), and
//! candle differentiates just the region behind it, down to recorded results and variables.
//!
//! Order of sums: a tensor that is read several times gets its gradients from the last reader to the
//! first, whichever style of training runs.

mod gather;
mod region;
mod walk;

pub use gather::{GradientSink, Rows};
pub use region::{Output, unrecorded};
pub use walk::Pass;

use crate::few::{Few, few, try_few};
use candle_core::{DType, DeviceLocation, Result, Tensor, TensorId, Var};
use gather::Gathered;
use region::{attach, cpu_anchor};
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A map by tensor. Ids are numbers counted up, so a multiplication spreads them well enough.
type ById<T> = HashMap<TensorId, T, BuildHasherDefault<IdHasher>>;

#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_usize(usize::from(*byte)));
    }

    fn write_usize(&mut self, number: usize) {
        self.0 = (self.0 ^ number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(20);
    }
}

/// What a tape keeps of an operation: the operation itself and what its forward pass saved.
pub trait Recorded: Send {
    /// Gives each input that needs it its gradient, through [`Pass::give`] or [`Pass::write`].
    fn backward(self: Box<Self>, pass: &mut Pass<'_>) -> Result<()>;
}

/// The entries of a forward pass, in their order. Clones are handles to the same tape.
#[derive(Clone, Default)]
pub struct Tape(Arc<Mutex<Record>>);

#[derive(Default)]
struct Record {
    entries: Vec<Entry>,
    /// Where the gradient of a recorded result is gathered.
    places: ById<usize>,
    /// Places given out so far.
    count: usize,
    /// As the thread's anchor, on other devices.
    anchors: Vec<(DeviceLocation, Var)>,
    /// The gradients of a pass by place. Empty between passes: what is kept is the memory.
    gathered: Vec<Option<Gathered>>,
    /// The gradient of the last loss with respect to itself, which is that of the next one too.
    one: Option<Tensor>,
}

struct Entry {
    kind: Kind,
    outputs: Few<Tensor>,
    /// The place of the first output's gradient; the others follow.
    first: usize,
}

enum Kind {
    Operation {
        operation: Box<dyn Recorded>,
        inputs: Few<Input>,
    },
    /// The end of a region of candle's own graph.
    Seal(Tensor),
}

struct Input {
    value: Tensor,
    target: Target,
}

/// Where the gradient of an input goes.
#[derive(Clone, Copy)]
enum Target {
    Nowhere,
    Place(usize),
    Variable(TensorId),
}

thread_local! {
    /// The tape that operations on this thread are recorded on, if it is still alive.
    static CURRENT: RefCell<Weak<Mutex<Record>>> = const { RefCell::new(Weak::new()) };
}

/// Puts back what was current before, also if the forward pass panics.
struct Outer(Weak<Mutex<Record>>);

impl Drop for Outer {
    fn drop(&mut self) {
        CURRENT.replace(std::mem::take(&mut self.0));
    }
}

impl Tape {
    /// Runs a forward pass on this thread and records its operations.
    pub fn record<T>(forward: impl FnOnce() -> T) -> (T, Self) {
        let tape = Self::default();
        (tape.record_anew(forward), tape)
    }

    /// As [`Tape::record`], on this tape, whose memory is used again. What it held is dropped.
    pub fn record_anew<T>(&self, forward: impl FnOnce() -> T) -> T {
        self.clear();
        let _outer = Outer(CURRENT.replace(Arc::downgrade(&self.0)));
        forward()
    }

    /// Drops all entries.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The tape that this thread records on, if there is one.
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Weak::upgrade).map(Self)
    }

    /// The tape that this thread records on; if there is none, a new one, on which the thread records
    /// for as long as a handle to it lives.
    pub fn current_or_new() -> Self {
        Self::current().unwrap_or_else(|| {
            let tape = Self::default();
            CURRENT.replace(Arc::downgrade(&tape.0));
            tape
        })
    }

    /// Whether this thread records.
    pub fn is_recording() -> bool {
        CURRENT.with_borrow(|current| current.strong_count() > 0)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an operation with its results, and returns them as tracked tensors. `values` are the
    /// inputs as its backward pass shall see them; `detach` says whether it shall see its results
    /// detached, as candle operations must (kernels only read their memory).
    pub fn push(
        &self,
        name: &'static str,
        operation: Box<dyn Recorded>,
        inputs: &[&Tensor],
        values: Few<Tensor>,
        outputs: Few<Output>,
        detach: bool,
    ) -> Result<Few<Tensor>> {
        let mut record = self.lock();
        let inputs = record.inputs(inputs, values);
        let results = try_few(outputs.into_iter().map(|o| record.result(name, o)))?;
        record.add(Kind::Operation { operation, inputs }, &results, detach);
        Ok(results)
    }

    /// Adds a view of a tensor: `result` was made from `input` by candle operations whose gradient
    /// `operation` gives too, and shares its memory.
    pub fn push_view(&self, operation: Box<dyn Recorded>, input: &Tensor, result: &Tensor) {
        let mut record = self.lock();
        let inputs = record.inputs(&[input], few([input.detach()]));
        record.add(Kind::Operation { operation, inputs }, std::slice::from_ref(result), true);
    }

    /// Ends a region of candle's own graph: the result has the same values, and what is computed from
    /// it is differentiated apart from what lies behind it. Tensors that are recorded, or not tracked
    /// at all, come back as they are.
    pub fn seal(&self, tensor: &Tensor) -> Result<Tensor> {
        let mut record = self.lock();
        if !tensor.track_op() || record.places.contains_key(&tensor.id()) {
            return Ok(tensor.clone());
        }
        let place = record.place_of(tensor);
        let result = record.result("seal", Output::Tensor(tensor.detach().contiguous()?))?;
        record.places.insert(result.id(), place);
        Ok(result)
    }

    /// The gradients of a scalar with respect to every variable that `sink` watches, in place of those
    /// it holds. The tape is empty afterwards.
    pub fn backward(&self, loss: &Tensor, sink: &mut GradientSink) -> Result<()> {
        let one = self.lock().one_like(loss)?;
        self.backward_from(&[(loss, &one)], sink)
    }

    /// The gradients of `sum(result * gradient)` over several results.
    pub fn backward_from(
        &self,
        results: &[(&Tensor, &Tensor)],
        sink: &mut GradientSink,
    ) -> Result<()> {
        let mut record = std::mem::take(&mut *self.lock());
        let walked = walk::backward(&mut record, results, sink);
        record.clear();
        *self.lock() = record;
        walked
    }
}

/// Differentiates a scalar on the tape of this thread (which is then empty), or without one in
/// candle's graph alone.
pub fn backward(loss: &Tensor, sink: &mut GradientSink) -> Result<()> {
    Tape::current().unwrap_or_default().backward(loss, sink)
}

impl Record {
    fn clear(&mut self) {
        self.entries.clear();
        self.places.clear();
        self.gathered.clear();
        self.count = 0;
    }

    fn one_like(&mut self, loss: &Tensor) -> Result<Tensor> {
        let fits = |one: &&Tensor| {
            let same_device = one.device().same_device(loss.device());
            one.dims() == loss.dims() && one.dtype() == loss.dtype() && same_device
        };
        match self.one.as_ref().filter(fits) {
            Some(one) => Ok(one.clone()),
            None => Ok(self.one.insert(loss.ones_like()?).clone()),
        }
    }

    fn inputs(&mut self, inputs: &[&Tensor], values: Few<Tensor>) -> Few<Input> {
        few(inputs.iter().zip(values).map(|(tensor, value)| {
            let target = match () {
                () if tensor.is_variable() => Target::Variable(tensor.id()),
                () if !tensor.track_op() => Target::Nowhere,
                () => Target::Place(self.place_of(tensor)),
            };
            Input { value, target }
        }))
    }

    /// The place of a tracked tensor. One that candle made is sealed here.
    fn place_of(&mut self, tensor: &Tensor) -> usize {
        match self.places.get(&tensor.id()) {
            Some(place) => *place,
            None => {
                let place = self.count;
                self.add(Kind::Seal(tensor.clone()), std::slice::from_ref(tensor), false);
                place
            }
        }
    }

    fn add(&mut self, kind: Kind, results: &[Tensor], detach: bool) {
        let first = self.count;
        for (index, result) in results.iter().enumerate() {
            self.places.insert(result.id(), first + index);
        }
        self.count += results.len();
        let outputs = few(results.iter().map(|t| if detach { t.detach() } else { t.clone() }));
        self.entries.push(Entry { kind, outputs, first });
    }

    /// A tracked tensor of a result.
    fn result(&mut self, name: &'static str, output: Output) -> Result<Tensor> {
        let device = match &output {
            Output::Tensor(tensor) if !tensor.device().is_cpu() => tensor.device().clone(),
            _ => return attach(&cpu_anchor()?, name, output),
        };
        let location = device.location();
        let anchor = match self.anchors.iter().find(|(at, _)| *at == location) {
            Some((_, anchor)) => anchor.clone(),
            None => {
                let anchor = Var::zeros((), DType::F32, &device)?;
                self.anchors.push((location, anchor.clone()));
                anchor
            }
        };
        attach(&anchor, name, output)
    }
}

/// The gradients of a scalar with respect to variables, in their order; `None`: it does not depend on
/// that one. Differentiates the tape of this thread, which is then empty.
pub fn gradients(loss: &Tensor, variables: &[&Tensor]) -> crate::Result<Vec<Option<Tensor>>> {
    let mut sink = GradientSink::new(variables.iter().copied());
    backward(loss, &mut sink).map_err(crate::error::from_candle)?;
    Ok(variables.iter().map(|variable| sink.take(variable)).collect())
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tape({} entries)", self.len())
    }
}

#[cfg(test)]
mod tests;
