//! The memory of CPU tensors as slices, for kernels that read and write it.

use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Storage, Tensor, bail};
use std::cell::RefCell;

/// The values of a contiguous f32 tensor on the CPU.
pub fn slice_of<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let data = storage.as_slice::<f32>()?;
    layout.contiguous_offsets().and_then(|(start, end)| data.get(start..end)).ok_or_else(|| {
        candle_core::Error::msg("a kernel was given a tensor that is not contiguous")
    })
}

/// Calls `read` with the values of a contiguous f32 tensor on the CPU.
pub fn with_slice<T>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    with_slices([tensor], |[values]| read(values))
}

/// As [`with_slice`], of several tensors.
pub fn with_slices<T, const N: usize>(
    tensors: [&Tensor; N],
    read: impl FnOnce([&[f32]; N]) -> Result<T>,
) -> Result<T> {
    let guards = tensors.map(Tensor::storage_and_layout);
    let mut slices = [&[][..]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        *slice = match &**storage {
            Storage::Cpu(storage) => slice_of(storage, layout)?,
            _ => bail!("a CPU kernel was given a tensor of another device"),
        };
    }
    read(slices)
}

/// Calls `read` with the values of an integer tensor on the CPU (class labels).
pub fn with_labels<T>(labels: &Tensor, read: impl FnOnce(&[i64]) -> Result<T>) -> Result<T> {
    let labels = labels.to_dtype(DType::I64)?.contiguous()?;
    let (storage, layout) = labels.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => {
            let (start, end) = layout.contiguous_offsets().unwrap_or((0, 0));
            read(storage.as_slice::<i64>()?.get(start..end).unwrap_or(&[]))
        }
        _ => bail!("a CPU kernel was given labels on another device"),
    }
}

type Write<'a> = dyn FnMut(&mut [f32]) -> Result<()> + 'a;

/// Gives a kernel the values of a tensor to change in place (optimizer updates, gradient buffers).
struct InPlace<'a>(RefCell<&'a mut Write<'a>>);

impl InplaceOp1 for InPlace<'_> {
    fn name(&self) -> &'static str {
        "in_place"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let CpuStorage::F32(values) = storage else {
            candle_core::bail!("an in-place kernel was given {:?}", DType::F32)
        };
        let slice = layout.contiguous_offsets().and_then(|(a, b)| values.get_mut(a..b));
        match slice {
            Some(slice) => (self.0.borrow_mut())(slice),
            None => {
                candle_core::bail!("an in-place kernel was given a tensor that is not contiguous")
            }
        }
    }
}

/// Calls `write` with the values of a contiguous f32 tensor on the CPU, to change them in place.
/// Tensors that share the storage see the new values.
pub fn with_slice_mut(
    tensor: &Tensor,
    mut write: impl FnMut(&mut [f32]) -> Result<()>,
) -> Result<()> {
    tensor.inplace_op1(&InPlace(RefCell::new(&mut write)))
}
