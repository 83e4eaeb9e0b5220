//! What a differentiable operation is, and how it is run and recorded, on any device.
//!
//! An operation has any number of inputs and results, and two forms:
//! - *composed*: plain candle operations ([`Operation::forward`]), for Metal, CUDA and every type;
//! - *fused*: a [`Kernel`] for a device and type, such as f32 on the CPU.
//!
//! Both compute from detached inputs and own their backward. What a form keeps for it is a value of
//! the type [`Operation::Saved`] on the [`Tape`]. If no input is tracked, nothing is recorded; if one
//! is and no tape records, the result refuses to be differentiated.

use candle_core::{
    CpuStorage, DType, Device, Layout, Result, Shape, Storage, Tensor, WithDType, bail,
};
use sconce_core::Tape;
use sconce_core::few::{Few, few, try_few};
use sconce_core::tape::{Output, Pass, Recorded, unrecorded};
use sconce_kernels::slice_of;

/// A differentiable operation. Its fields are what it needs besides tensors; integer tensors (labels,
/// indices) may be inputs or fields.
pub trait Operation: Send + Sync + Sized + 'static {
    /// What the forward pass keeps for the backward pass besides inputs and results.
    type Saved: Send + 'static;

    /// Name for messages.
    fn name(&self) -> &'static str;

    /// The composed form. `inputs` are detached and contiguous.
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, Self::Saved)>;

    /// The composed backward: gives each input that needs it its gradient.
    fn backward(&self, saved: Self::Saved, pass: &mut Pass<'_>) -> Result<()>;

    /// The fused form for a device and the type of the float inputs, if there is one.
    fn kernel(&self, _device: &Device, _dtype: DType) -> Option<&dyn Kernel<Self::Saved>> {
        None
    }

    /// Runs an operation of one result: fused where it can be, else composed.
    fn apply(self, inputs: &[&Tensor]) -> Result<Tensor> {
        run(self, inputs, true).and_then(only)
    }

    /// Runs the composed form of an operation of one result.
    fn apply_composed(self, inputs: &[&Tensor]) -> Result<Tensor> {
        run(self, inputs, false).and_then(only)
    }

    /// Runs the operation: fused where it can be, else composed.
    fn apply_all(self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        run(self, inputs, true).map(Few::into_vec)
    }

    /// Runs the composed form.
    fn apply_all_composed(self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        run(self, inputs, false).map(Few::into_vec)
    }
}

/// The fused form of an operation, on CPU slices.
pub trait Kernel<Saved> {
    /// Whether integers among the inputs, such as indices, are read as [`Input::values`]. By default
    /// inputs are floats only, and the composed form decides what happens to others.
    fn takes_integers(&self) -> bool {
        false
    }

    /// The results, values and shapes, and what the backward pass needs.
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, Saved)>;

    /// The backward of the fused form; all float tensors are contiguous and of the kernel's type.
    fn backward(&self, saved: Saved, pass: &mut Pass<'_>) -> Result<()>;
}

/// A result of a kernel: values in row-major order, and their shape.
pub type Values = (Vec<f32>, Shape);

/// Whether the f32 kernels serve a device and type.
pub fn is_cpu_f32(device: &Device, dtype: DType) -> bool {
    device.is_cpu() && dtype == DType::F32
}

/// One input of a fused kernel.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Values, row-major; empty if they are not f32 (see [`Input::values`]).
    pub data: &'a [f32],
    /// Shape.
    pub dims: &'a [usize],
    storage: &'a CpuStorage,
    layout: &'a Layout,
}

impl<'a> Input<'a> {
    fn new(storage: &'a Storage, layout: &'a Layout) -> Result<Self> {
        let Storage::Cpu(storage) = storage else {
            bail!("a CPU kernel was given a tensor of another device")
        };
        let data = match storage {
            CpuStorage::F32(_) => slice_of(storage, layout)?,
            _ => &[],
        };
        Ok(Self { data, dims: layout.dims(), storage, layout })
    }

    /// Values of another type than f32, such as indices.
    pub fn values<T: WithDType>(&self) -> Result<&'a [T]> {
        let values = self.storage.as_slice::<T>()?;
        let (from, to) = self.layout.contiguous_offsets().unwrap_or((0, 0));
        Ok(values.get(from..to).unwrap_or(&[]))
    }
}

/// An operation on the tape, in the form that ran.
struct Ran<O: Operation> {
    operation: O,
    saved: O::Saved,
    fused: Option<(Device, DType)>,
}

impl<O: Operation> Recorded for Ran<O> {
    fn backward(self: Box<Self>, pass: &mut Pass<'_>) -> Result<()> {
        let Self { operation, saved, fused } = *self;
        match fused.and_then(|(device, dtype)| operation.kernel(&device, dtype)) {
            Some(kernel) => kernel.backward(saved, pass),
            None => operation.backward(saved, pass),
        }
    }
}

/// The result of an operation that has one and saves nothing.
pub fn one(result: Result<Tensor>) -> Result<(Vec<Tensor>, ())> {
    result.map(|result| (vec![result], ()))
}

fn only(mut results: Few<Tensor>) -> Result<Tensor> {
    match (results.pop(), results.len()) {
        (Some(result), 0) => Ok(result),
        (_, more) => bail!("an operation with {} results was taken for one with one", more + 1),
    }
}

fn run<O: Operation>(operation: O, inputs: &[&Tensor], fuse: bool) -> Result<Few<Tensor>> {
    let name = operation.name();
    let Some(first) = inputs.first() else { bail!("{name}: an operation needs an input") };
    let device = first.device().clone();
    refuse_empty(name, inputs)?;
    let is_float = |t: &&&Tensor| t.dtype().is_float();
    let dtype = inputs.iter().find(is_float).unwrap_or(first).dtype();
    let alike = |t: &&Tensor| {
        t.device().same_device(&device) && (t.dtype() == dtype || !t.dtype().is_float())
    };
    let tracked = inputs.iter().any(|t| t.track_op());
    let kernel = match fuse && inputs.iter().all(alike) {
        true => operation.kernel(&device, dtype),
        false => None,
    };
    let floats_only = || inputs.iter().all(|t| t.dtype().is_float());
    let kernel = kernel.filter(|kernel| kernel.takes_integers() || floats_only());
    let fused = kernel.is_some();
    // Kernels read the memory of tensors; candle operations would go on building their graph.
    let value = |t: &&Tensor| match fused && t.is_contiguous() {
        true => Ok((*t).clone()),
        false => t.detach().contiguous(),
    };
    let values = try_few(inputs.iter().map(value))?;
    let (outputs, saved) = match kernel {
        Some(kernel) => {
            let (results, saved) = run_kernel(kernel, &values)?;
            let output = |(values, shape)| Output::Values(CpuStorage::F32(values), shape);
            (few(results.into_iter().map(output)), saved)
        }
        None => {
            let (results, saved) = operation.forward(&few(&values))?;
            let outputs = results.into_iter().map(|t| t.detach().contiguous().map(Output::Tensor));
            (try_few(outputs)?, saved)
        }
    };
    if !tracked {
        return try_few(outputs.into_iter().map(untracked));
    }
    match Tape::current() {
        Some(tape) => {
            let ran = Ran { operation, saved, fused: fused.then_some((device, dtype)) };
            tape.push(name, Box::new(ran), inputs, values, outputs, !fused)
        }
        None => try_few(outputs.into_iter().map(|output| unrecorded(name, output))),
    }
}

/// Refuses tensors without elements on CUDA, where some of candle's kernels fail for them and some never
/// return.
pub(crate) fn refuse_empty(name: &str, tensors: &[&Tensor]) -> Result<()> {
    match tensors.iter().find(|x| x.device().is_cuda() && x.elem_count() == 0) {
        Some(x) => bail!(
            "{name}: a tensor of shape {:?} has no elements, which CUDA cannot compute with; leave it \
             out, or use the CPU",
            x.dims()
        ),
        None => Ok(()),
    }
}

fn run_kernel<S>(kernel: &dyn Kernel<S>, inputs: &[Tensor]) -> Result<(Vec<Values>, S)> {
    let storages = few(inputs.iter().map(Tensor::storage_and_layout));
    let inputs = try_few(storages.iter().map(|(storage, layout)| Input::new(storage, layout)))?;
    kernel.forward(&inputs)
}

fn untracked(output: Output) -> Result<Tensor> {
    match output {
        Output::Tensor(tensor) => Ok(tensor),
        Output::Values(values, shape) => {
            let none = candle_core::op::BackpropOp::none();
            Ok(Tensor::from_storage(Storage::Cpu(values), shape, none, false))
        }
    }
}

/// The gradient of a view: the same values in the input's shape.
struct Reshaped;

impl Recorded for Reshaped {
    fn backward(self: Box<Self>, pass: &mut Pass<'_>) -> Result<()> {
        let dx = pass.dy()?.reshape(pass.input(0).shape())?;
        pass.give(0, dx)
    }
}

/// The same values in another shape, without a copy where they are contiguous. Differentiable.
pub fn reshape(x: &Tensor, shape: impl Into<Shape>) -> Result<Tensor> {
    let y = x.reshape(shape.into())?;
    if x.track_op()
        && y.track_op()
        && let Some(tape) = Tape::current()
    {
        tape.push_view(Box::new(Reshaped), x, &y);
    }
    Ok(y)
}

#[cfg(test)]
mod tests;
