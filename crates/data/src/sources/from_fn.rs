//! Batches that a closure makes.

use super::{Batch, BatchSource, Batches, SourceSpec};
use sconce_core::Result;

type Maker = dyn Fn(usize, usize) -> Result<Batches<'static>> + Send + Sync;

/// A source made by [`from_fn`].
pub struct FnSource {
    spec: SourceSpec,
    steps: Option<usize>,
    batches: Box<Maker>,
}

/// A source of the batches that a closure makes: it gets the epoch and the batch to start from (both
/// from 0) and returns an iterator.
///
/// Of an iterator without end the first `steps` batches make an epoch; with `steps` `None` an epoch
/// ends where the iterator does. A closure that returns the same batches for the same arguments lets
/// a run go on where it was interrupted.
///
/// ```
/// use sconce_core::{DType, Device, Tensor};
/// use sconce_data::sources::{ArraySpec, Batch, BatchSource, SourceSpec, from_fn};
///
/// let spec = SourceSpec {
///     x: vec![ArraySpec::new(&[3], DType::F32)],
///     y: vec![ArraySpec::new(&[], DType::I64)],
///     sample_weight: vec![],
/// };
/// let source = from_fn(spec, Some(10), |_epoch, from_batch| {
///     Ok((from_batch..).map(|batch| {
///         let x = Tensor::full(batch as f32, (8, 3), &Device::Cpu)?;
///         let y = Tensor::zeros(8, DType::I64, &Device::Cpu)?;
///         Ok(Batch { x: vec![x], y: vec![y], sample_weight: vec![] })
///     }))
/// });
/// assert_eq!(source.checked_batches(0, 4)?.count(), 6);
/// # Ok::<(), sconce_core::Error>(())
/// ```
pub fn from_fn<F, I>(spec: SourceSpec, steps: Option<usize>, batches: F) -> FnSource
where
    F: Fn(usize, usize) -> Result<I> + Send + Sync + 'static,
    I: Iterator<Item = Result<Batch>> + Send + 'static,
{
    let batches = move |epoch, from_batch| -> Result<Batches<'static>> {
        Ok(Box::new(batches(epoch, from_batch)?))
    };
    FnSource { spec, steps, batches: Box::new(batches) }
}

impl BatchSource for FnSource {
    fn spec(&self) -> &SourceSpec {
        &self.spec
    }

    fn steps(&self, _: usize) -> Option<usize> {
        self.steps
    }

    fn batches(&self, epoch: usize, from_batch: usize) -> Result<Batches<'_>> {
        (self.batches)(epoch, from_batch)
    }
}
