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

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, DType, Device, DeviceLocation, Layout, MetalStorage,
    Result, Shape, Storage, Tensor, TensorId, Var, bail,
};
use sconce_kernels::{map2, with_slice, with_slice_mut};
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
}

struct Entry {
    kind: Kind,
    outputs: Vec<Tensor>,
    /// The place of the first output's gradient; the others follow.
    first: usize,
}

enum Kind {
    Operation {
        operation: Box<dyn Recorded>,
        inputs: Vec<Input>,
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

/// A result of an operation on its way into candle's graph.
pub enum Output {
    /// Values of a CPU kernel.
    Values(CpuStorage, Shape),
    /// A contiguous, detached tensor.
    Tensor(Tensor),
}

thread_local! {
    /// The tape that operations on this thread are recorded on, if it is still alive.
    static CURRENT: RefCell<Weak<Mutex<Record>>> = const { RefCell::new(Weak::new()) };
    /// The variable on the CPU that results are derived from in candle's graph.
    static ANCHOR: RefCell<Option<Var>> = const { RefCell::new(None) };
    /// Gradients that candle hands over while it differentiates a region for a tape.
    static REGION: RefCell<Option<Vec<(TensorId, Tensor)>>> = const { RefCell::new(None) };
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
        let _outer = Outer(CURRENT.replace(Arc::downgrade(&tape.0)));
        (forward(), tape)
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
        values: Vec<Tensor>,
        outputs: Vec<Output>,
        detach: bool,
    ) -> Result<Vec<Tensor>> {
        let mut record = self.lock();
        let inputs = record.inputs(inputs, values);
        let results =
            outputs.into_iter().map(|o| record.result(name, o)).collect::<Result<Vec<_>>>()?;
        record.add(Kind::Operation { operation, inputs }, &results, detach);
        Ok(results)
    }

    /// Adds a view of a tensor: `result` was made from `input` by candle operations whose gradient
    /// `operation` gives too, and shares its memory.
    pub fn push_view(&self, operation: Box<dyn Recorded>, input: &Tensor, result: &Tensor) {
        let mut record = self.lock();
        let inputs = record.inputs(&[input], vec![input.detach()]);
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
        self.backward_from(&[(loss, &loss.ones_like()?)], sink)
    }

    /// The gradients of `sum(result * gradient)` over several results.
    pub fn backward_from(
        &self,
        results: &[(&Tensor, &Tensor)],
        sink: &mut GradientSink,
    ) -> Result<()> {
        let record = std::mem::take(&mut *self.lock());
        let mut gathered = Vec::new();
        gathered.resize_with(record.count, || None);
        let mut sink_of_pass = std::mem::take(sink);
        // What nobody took out of an earlier pass is no part of this one.
        sink_of_pass.slots.values_mut().for_each(|slot| slot.gathered = None);
        let mut walk = Walk { gathered, places: record.places, sink: sink_of_pass };
        let walked = walk.run(record.entries, results);
        *sink = walk.sink;
        walked
    }
}

/// Differentiates a scalar on the tape of this thread (which is then empty), or without one in
/// candle's graph alone.
pub fn backward(loss: &Tensor, sink: &mut GradientSink) -> Result<()> {
    Tape::current().unwrap_or_default().backward(loss, sink)
}

impl Record {
    fn inputs(&mut self, inputs: &[&Tensor], values: Vec<Tensor>) -> Vec<Input> {
        inputs
            .iter()
            .zip(values)
            .map(|(tensor, value)| {
                let target = match () {
                    () if tensor.is_variable() => Target::Variable(tensor.id()),
                    () if !tensor.track_op() => Target::Nowhere,
                    () => Target::Place(self.place_of(tensor)),
                };
                Input { value, target }
            })
            .collect()
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
        let outputs = results.iter().map(|t| if detach { t.detach() } else { t.clone() }).collect();
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

/// A tracked tensor that belongs to no tape: differentiating it is an error that says what to do.
pub fn unrecorded(name: &'static str, output: Output) -> Result<Tensor> {
    match &output {
        Output::Tensor(tensor) if !tensor.device().is_cpu() => {
            attach(&Var::zeros((), DType::F32, &tensor.device().clone())?, name, output)
        }
        _ => attach(&cpu_anchor()?, name, output),
    }
}

fn cpu_anchor() -> Result<Var> {
    ANCHOR.with_borrow_mut(|anchor| match anchor {
        Some(anchor) => Ok(anchor.clone()),
        None => Ok(anchor.insert(Var::zeros((), DType::F32, &Device::Cpu)?).clone()),
    })
}

fn attach(anchor: &Var, name: &'static str, output: Output) -> Result<Tensor> {
    anchor.apply_op1(RecordedResult { name, output: Mutex::new(Some(output)) })
}

/// The candle operation of a recorded result: it brings the values into candle's graph, and the
/// gradient back out of it.
struct RecordedResult {
    name: &'static str,
    output: Mutex<Option<Output>>,
}

impl RecordedResult {
    fn take(&self) -> Result<Output> {
        let taken = self.output.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| candle_core::Error::msg("a result can enter the graph only once"))
    }

    fn wrong_device<T>(&self) -> Result<T> {
        bail!("{}: the result is on another device", self.name)
    }
}

impl CustomOp1 for RecordedResult {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        match self.take()? {
            Output::Values(storage, shape) => Ok((storage, shape)),
            Output::Tensor(tensor) => {
                let (storage, layout) = tensor.storage_and_layout();
                match &*storage {
                    Storage::Cpu(storage) => {
                        let (from, to) = layout.contiguous_offsets().unwrap_or((0, 0));
                        Ok((part_of(storage, from, to)?, tensor.shape().clone()))
                    }
                    _ => self.wrong_device(),
                }
            }
        }
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        let Output::Tensor(tensor) = self.take()? else { return self.wrong_device() };
        let (storage, layout) = tensor.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, tensor.shape().clone())),
            _ => self.wrong_device(),
        }
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        let Output::Tensor(tensor) = self.take()? else { return self.wrong_device() };
        let (storage, layout) = tensor.storage_and_layout();
        match &*storage {
            Storage::Metal(storage) => Ok((storage.try_clone(layout)?, tensor.shape().clone())),
            _ => self.wrong_device(),
        }
    }

    fn bwd(&self, _: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        REGION.with_borrow_mut(|region| match region {
            Some(handed_over) => {
                handed_over.push((result.id(), gradient.detach()));
                Ok(None)
            }
            None => bail!(
                "candle's own `backward` was called on a result of the operation `{}`, which it cannot \
                 see through; call `model.backward(&loss)`, `value_and_grad` or `Tape::backward` instead",
                self.name
            ),
        })
    }
}

/// A copy of a part of a CPU storage.
fn part_of(storage: &CpuStorage, from: usize, to: usize) -> Result<CpuStorage> {
    macro_rules! copy {
        ($($variant:ident),*) => {
            match storage {
                $(CpuStorage::$variant(values) => Ok(CpuStorage::$variant(
                    values.get(from..to).unwrap_or(&[]).to_vec(),
                )),)*
                other => bail!("a result of type {:?} cannot be recorded", other.dtype()),
            }
        };
    }
    copy!(U8, U32, I16, I32, I64, BF16, F16, F32, F64)
}

/// A gradient that may grow.
struct Gathered {
    tensor: Tensor,
    /// Whether nobody else holds its memory, so that it can be added to in place.
    owned: bool,
}

/// Adds a gradient to what was gathered.
fn gather(gathered: &mut Option<Gathered>, gradient: Tensor) -> Result<()> {
    *gathered = Some(match gathered.take() {
        None => Gathered { tensor: gradient, owned: false },
        Some(before) => Gathered { tensor: sum(&before.tensor, &gradient)?, owned: true },
    });
    Ok(())
}

/// Lets a kernel write a gradient, or add to what was gathered.
fn gather_in_place(
    gathered: &mut Option<Gathered>,
    like: &Tensor,
    mut write: impl FnMut(&mut [f32], bool) -> Result<()>,
) -> Result<()> {
    match gathered {
        Some(before) if before.owned => {
            with_slice_mut(&before.tensor, |values| write(values, true))
        }
        _ => {
            let mut values = vec![0.0; like.elem_count()];
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

/// A backward pass at work.
struct Walk {
    gathered: Vec<Option<Gathered>>,
    places: ById<usize>,
    sink: GradientSink,
}

impl Walk {
    fn run(&mut self, entries: Vec<Entry>, results: &[(&Tensor, &Tensor)]) -> Result<()> {
        for (result, gradient) in results {
            match self.places.get(&result.id()) {
                Some(place) => gather(&mut self.gathered[*place], (*gradient).clone())?,
                None => self.region(result, gradient)?,
            }
        }
        for entry in entries.into_iter().rev() {
            let count = entry.outputs.len();
            let taken: Vec<Option<Tensor>> = self.gathered[entry.first..entry.first + count]
                .iter_mut()
                .map(|gathered| gathered.take().map(|g| g.tensor.contiguous()).transpose())
                .collect::<Result<_>>()?;
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
        let root = (end * gradient)?.sum_all()?;
        // Put back on every way out: a nested backward pass, or an error, must not see it.
        struct Before(Option<Vec<(TensorId, Tensor)>>);
        impl Drop for Before {
            fn drop(&mut self) {
                REGION.replace(self.0.take());
            }
        }
        let before = Before(REGION.replace(Some(Vec::new())));
        let variables = root.backward()?;
        let handed_over = REGION.replace(None).unwrap_or_default();
        drop(before);
        for (id, gradient) in handed_over {
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
        for id in variables.get_ids() {
            if let (Some(gradient), Some(slot)) =
                (variables.get_id(*id), self.sink.slots.get_mut(id))
            {
                gather(&mut slot.gathered, gradient.detach())?;
            }
        }
        Ok(())
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

impl Walk {
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

    fn watches(&self, id: TensorId) -> bool {
        self.slots.contains_key(&id)
    }

    fn give(&mut self, id: TensorId, gradient: Tensor) -> Result<()> {
        match self.slots.get_mut(&id) {
            Some(slot) => gather(&mut slot.gathered, gradient),
            None => Ok(()),
        }
    }

    fn write(
        &mut self,
        id: TensorId,
        like: &Tensor,
        write: &mut dyn FnMut(&mut [f32], bool) -> Result<()>,
    ) -> Result<()> {
        let Some(slot) = self.slots.get_mut(&id) else { return Ok(()) };
        match (&slot.gathered, &slot.buffer) {
            (None, Some(buffer)) => {
                with_slice_mut(buffer, |values| write(values, false))?;
                slot.gathered = Some(Gathered { tensor: buffer.clone(), owned: true });
            }
            (None, None) => {
                gather_in_place(&mut slot.gathered, like, write)?;
                slot.buffer = slot.gathered.as_ref().map(|g| g.tensor.clone());
            }
            (Some(_), _) => gather_in_place(&mut slot.gathered, like, write)?,
        }
        Ok(())
    }

    /// The gradient of a variable, taken out; `None`: the loss does not depend on it. Its memory may be
    /// the sink's buffer, which the sink's next backward pass overwrites.
    pub fn take(&mut self, variable: &Tensor) -> Option<Tensor> {
        let slot = self.slots.get_mut(&variable.id())?;
        slot.gathered.take().map(|gathered| gathered.tensor)
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
