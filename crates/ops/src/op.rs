//! The one way an operation of ours joins candle's graph, on any device.
//!
//! An operation computes its result from detached inputs, in one of two forms, and is attached to
//! the graph by a candle custom op whose backward is the operation's own:
//! - *fused*: a CPU kernel on contiguous f32 slices ([`Operation::fused_forward`]);
//! - *composed*: plain candle operations ([`Operation::forward`]), for Metal, CUDA and other types.
//!
//! While a [`Tape`] records, as in `fit`, fused operations are put on it instead.

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, MetalStorage, Result,
    Shape, Storage, Tensor, Var, bail,
};
use sconce_core::Tape;
use sconce_core::tape::Recorded;
use sconce_kernels::slice_of;
use std::sync::{Mutex, PoisonError};

/// A differentiable operation of one to three float tensors. Anything else it needs (labels,
/// constants, gradient slots) is a field.
pub trait Operation: Send + Sync + Sized + 'static {
    /// Name for messages.
    fn name(&self) -> &'static str;

    /// The composed form. `inputs` are detached and contiguous.
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor>;

    /// The composed backward: a gradient for each input, or `None` where `needs` is false (or where
    /// it went to a gradient slot). `inputs` are detached.
    fn backward(
        &self,
        inputs: &[&Tensor],
        result: &Tensor,
        gradient: &Tensor,
        needs: &[bool],
    ) -> Result<Vec<Option<Tensor>>>;

    /// Whether there is a fused form.
    fn has_kernel(&self) -> bool {
        false
    }

    /// The fused form: contiguous slices and their shapes to the result.
    fn fused_forward(&self, _inputs: &[Input<'_>]) -> Result<(Vec<f32>, Shape)> {
        bail!("{} has no fused form", self.name())
    }

    /// The backward that goes with the fused form. All tensors are contiguous f32 on the CPU.
    fn fused_backward(
        &self,
        inputs: &[&Tensor],
        result: &Tensor,
        gradient: &Tensor,
        needs: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        self.backward(inputs, result, gradient, needs)
    }

    /// Runs the operation: fused where it can be, else composed.
    fn apply(self, inputs: &[&Tensor]) -> Result<Tensor> {
        let fused = self.has_kernel()
            && inputs.iter().all(|t| t.dtype() == DType::F32 && t.device().is_cpu());
        attach(self, inputs, fused)
    }

    /// Runs the composed form wherever the tensors are.
    fn apply_composed(self, inputs: &[&Tensor]) -> Result<Tensor> {
        attach(self, inputs, false)
    }
}

/// One input of a fused kernel.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Values, row-major.
    pub data: &'a [f32],
    /// Shape.
    pub dims: &'a [usize],
}

impl<'a> Input<'a> {
    fn new(storage: &'a CpuStorage, layout: &'a Layout) -> Result<Self> {
        Ok(Self { data: slice_of(storage, layout)?, dims: layout.dims() })
    }
}

/// The custom op that ties a result to its inputs.
struct Link<O> {
    operation: O,
    fused: bool,
    /// The composed result on its way into the graph.
    composed: Mutex<Option<Tensor>>,
}

fn attach<O: Operation>(operation: O, inputs: &[&Tensor], fused: bool) -> Result<Tensor> {
    let inputs: Vec<Tensor> = inputs.iter().map(|t| t.contiguous()).collect::<Result<_>>()?;
    if fused && Tape::is_recording() && inputs.iter().any(Tensor::track_op) {
        return record(operation, inputs);
    }
    let composed = if fused {
        None
    } else {
        let detached: Vec<Tensor> = inputs.iter().map(Tensor::detach).collect();
        let detached: Vec<&Tensor> = detached.iter().collect();
        Some(operation.forward(&detached)?.contiguous()?)
    };
    let link = Link { operation, fused, composed: Mutex::new(composed) };
    match inputs.as_slice() {
        [a] => a.apply_op1(link),
        [a, b] => a.apply_op2(b, link),
        [a, b, c] => a.apply_op3(b, c, link),
        other => bail!(
            "{}: an operation has one to three inputs, got {}",
            link.operation.name(),
            other.len()
        ),
    }
}

/// A fused operation on the tape.
struct Fused<O>(O);

impl<O: Operation> Recorded for Fused<O> {
    fn backward(
        &self,
        inputs: &[&Tensor],
        result: &Tensor,
        gradient: &Tensor,
        needs: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        self.0.fused_backward(inputs, result, gradient, needs)
    }
}

fn record<O: Operation>(operation: O, inputs: Vec<Tensor>) -> Result<Tensor> {
    let (values, shape) = {
        let storages: Vec<_> = inputs.iter().map(Tensor::storage_and_layout).collect();
        let slices = storages.iter().map(|(storage, layout)| match &**storage {
            Storage::Cpu(storage) => Input::new(storage, layout),
            _ => bail!("{}: a kernel was given a tensor of another device", operation.name()),
        });
        operation.fused_forward(&slices.collect::<Result<Vec<_>>>()?)?
    };
    let result = Var::from_vec(values, shape, &candle_core::Device::Cpu)?.into_inner();
    Tape::push(Box::new(Fused(operation)), inputs, &result);
    Ok(result)
}

/// A view on the tape.
struct Reshaped;

impl Recorded for Reshaped {
    fn backward(
        &self,
        inputs: &[&Tensor],
        _: &Tensor,
        gradient: &Tensor,
        _: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        inputs.iter().map(|x| gradient.reshape(x.shape()).map(Some)).collect()
    }
}

/// The same values in another shape, without a copy where they are contiguous.
pub fn reshape(x: &Tensor, shape: impl Into<Shape>) -> Result<Tensor> {
    let y = x.reshape(shape.into())?;
    if Tape::is_recording() && x.track_op() {
        Tape::push(Box::new(Reshaped), vec![x.clone()], &y);
    }
    Ok(y)
}

impl<O: Operation> Link<O> {
    fn take(&self) -> Result<Tensor> {
        let taken = self.composed.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| candle_core::Error::msg("a composed result can be attached only once"))
    }

    fn cpu(&self, inputs: &[(&CpuStorage, &Layout)]) -> Result<(CpuStorage, Shape)> {
        if self.fused {
            let inputs: Vec<Input<'_>> =
                inputs.iter().map(|(s, l)| Input::new(s, l)).collect::<Result<_>>()?;
            let (values, shape) = self.operation.fused_forward(&inputs)?;
            return Ok((CpuStorage::F32(values), shape));
        }
        let result = self.take()?;
        let (storage, layout) = result.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) => Ok((storage.try_clone(layout)?, result.shape().clone())),
            _ => bail!("{}: the result is on another device", self.operation.name()),
        }
    }

    fn cuda(&self) -> Result<(CudaStorage, Shape)> {
        let result = self.take()?;
        let (storage, layout) = result.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, result.shape().clone())),
            _ => bail!("{}: the result is on another device", self.operation.name()),
        }
    }

    fn metal(&self) -> Result<(MetalStorage, Shape)> {
        let result = self.take()?;
        let (storage, layout) = result.storage_and_layout();
        match &*storage {
            Storage::Metal(storage) => Ok((storage.try_clone(layout)?, result.shape().clone())),
            _ => bail!("{}: the result is on another device", self.operation.name()),
        }
    }

    fn bwd<const N: usize>(
        &self,
        inputs: [&Tensor; N],
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Option<Tensor>; N]> {
        let needs = inputs.map(Tensor::track_op);
        let gradient = gradient.contiguous()?;
        // Detached, so that the backward pass builds no graph of its own.
        let (inputs, result) = (inputs.map(Tensor::detach), result.detach());
        let inputs = inputs.each_ref();
        let gradients = if self.fused {
            self.operation.fused_backward(&inputs, &result, &gradient, &needs)?
        } else {
            self.operation.backward(&inputs, &result, &gradient, &needs)?
        };
        let count = gradients.len();
        gradients.try_into().map_err(|_| {
            candle_core::Error::msg(format!(
                "{}: {count} gradients for {N} inputs",
                self.operation.name()
            ))
        })
    }
}

impl<O: Operation> CustomOp1 for Link<O> {
    fn name(&self) -> &'static str {
        self.operation.name()
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        self.cpu(&[(s, l)])
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        self.metal()
    }

    fn bwd(&self, x: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let [dx] = Link::bwd(self, [x], result, gradient)?;
        Ok(dx)
    }
}

impl<O: Operation> CustomOp2 for Link<O> {
    fn name(&self) -> &'static str {
        self.operation.name()
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.cpu(&[(s1, l1), (s2, l2)])
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.metal()
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [da, db] = Link::bwd(self, [a, b], result, gradient)?;
        Ok((da, db))
    }
}

impl<O: Operation> CustomOp3 for Link<O> {
    fn name(&self) -> &'static str {
        self.operation.name()
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.cpu(&[(s1, l1), (s2, l2), (s3, l3)])
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.metal()
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [da, db, dc] = Link::bwd(self, [a, b, c], result, gradient)?;
        Ok((da, db, dc))
    }
}
