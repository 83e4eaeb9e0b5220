//! Recorded results in candle's graph, and the regions of plain candle code between them.
//!
//! A result enters candle's graph as a tracked tensor. Its candle operation hands the gradient that
//! arrives there over to the walk that differentiates the region, and is an error to anybody else.

use candle_core::backend::BackendStorage;
use candle_core::backprop::GradStore;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, DType, Device, Layout, MetalStorage, Result, Shape,
    Storage, Tensor, TensorId, Var, bail,
};
use std::cell::RefCell;
use std::sync::Arc;

/// A result of an operation on its way into candle's graph.
pub enum Output {
    /// Values of a CPU kernel.
    Values(CpuStorage, Shape),
    /// A contiguous, detached tensor.
    Tensor(Tensor),
}

thread_local! {
    /// The variable on the CPU that results are derived from in candle's graph.
    static ANCHOR: RefCell<Option<Var>> = const { RefCell::new(None) };
    /// Gradients that candle hands over while it differentiates a region for a tape.
    static REGION: RefCell<Option<Vec<(TensorId, Tensor)>>> = const { RefCell::new(None) };
    /// The candle operations of results, by name.
    static OPERATIONS: RefCell<Vec<(&'static str, CandleOperation)>> = const { RefCell::new(Vec::new()) };
    /// The result on its way through its candle operation.
    static ENTERING: RefCell<Option<Output>> = const { RefCell::new(None) };
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

pub(super) fn cpu_anchor() -> Result<Var> {
    ANCHOR.with_borrow_mut(|anchor| match anchor {
        Some(anchor) => Ok(anchor.clone()),
        None => Ok(anchor.insert(Var::zeros((), DType::F32, &Device::Cpu)?).clone()),
    })
}

/// A tracked tensor of a result. What candle keeps of its operation is the same for all results of a
/// name, so that a result costs no more memory than candle's tensor.
pub(super) fn attach(anchor: &Var, name: &'static str, output: Output) -> Result<Tensor> {
    let operation = OPERATIONS.with_borrow_mut(|operations| {
        if let Some((_, operation)) = operations.iter().find(|(other, _)| *other == name) {
            return operation.clone();
        }
        let operation: CandleOperation = Arc::new(Box::new(RecordedResult { name }));
        operations.push((name, operation.clone()));
        operation
    });
    ENTERING.replace(Some(output));
    anchor.apply_op1_arc(operation)
}

type CandleOperation = Arc<Box<dyn CustomOp1 + Send + Sync>>;

/// The candle operation of a recorded result: it brings the values into candle's graph, and the
/// gradient back out of it.
struct RecordedResult {
    name: &'static str,
}

impl RecordedResult {
    fn take(&self) -> Result<Output> {
        let entering = ENTERING.take();
        entering.ok_or_else(|| candle_core::Error::msg("a result enters the graph only once"))
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

/// The gradients at the ends of a region.
pub(super) struct Region {
    /// Of recorded results.
    pub results: Vec<(TensorId, Tensor)>,
    /// Of variables, and of what lies within.
    pub tensors: GradStore,
}

/// Lets candle differentiate `sum(end * gradient)` down to recorded results and variables.
pub(super) fn differentiate(end: &Tensor, gradient: &Tensor) -> Result<Region> {
    let root = (end * gradient)?.sum_all()?;
    // Put back on every way out: a nested backward pass, or an error, must not see it.
    struct Before(Option<Vec<(TensorId, Tensor)>>);
    impl Drop for Before {
        fn drop(&mut self) {
            REGION.replace(self.0.take());
        }
    }
    let _before = Before(REGION.replace(Some(Vec::new())));
    let tensors = root.backward()?;
    let results = REGION.replace(None).unwrap_or_default();
    Ok(Region { results, tensors })
}
