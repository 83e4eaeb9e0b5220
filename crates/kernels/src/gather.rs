//! Batches: chosen rows of an array.

use crate::for_rows;
use candle_core::{CpuStorage, Device, Result, Storage, Tensor, bail};

/// Values below which rows are copied on one thread.
const SERIAL: usize = 256 * 1024;

/// The rows (of the first axis) at `indices`, in that order. Not differentiable.
pub fn gather_rows(x: &Tensor, indices: &[u32]) -> Result<Tensor> {
    let Some((rows, sample)) = x.dims().split_first() else { bail!("rows of a scalar") };
    let mut dims = vec![indices.len()];
    dims.extend_from_slice(sample);
    let width = sample.iter().product();
    if let Some(index) = indices.iter().find(|i| **i as usize >= *rows) {
        bail!("row {index} of an array of {rows} rows")
    }
    if x.device().is_cpu() && x.is_contiguous() {
        let (storage, layout) = x.storage_and_layout();
        let range = layout.contiguous_offsets().unwrap_or((0, 0));
        if let Storage::Cpu(storage) = &*storage {
            let gathered = match storage {
                CpuStorage::F32(data) => CpuStorage::F32(copy(data, range, indices, width)),
                CpuStorage::I64(data) => CpuStorage::I64(copy(data, range, indices, width)),
                CpuStorage::F64(data) => CpuStorage::F64(copy(data, range, indices, width)),
                CpuStorage::F16(data) => CpuStorage::F16(copy(data, range, indices, width)),
                CpuStorage::U8(data) => CpuStorage::U8(copy(data, range, indices, width)),
                CpuStorage::U32(data) => CpuStorage::U32(copy(data, range, indices, width)),
                CpuStorage::I16(data) => CpuStorage::I16(copy(data, range, indices, width)),
                CpuStorage::I32(data) => CpuStorage::I32(copy(data, range, indices, width)),
                _ => return by_candle(x, indices),
            };
            let untracked = candle_core::op::BackpropOp::none();
            return Ok(Tensor::from_storage(Storage::Cpu(gathered), dims, untracked, false));
        }
    }
    by_candle(&x.contiguous()?, indices)
}

fn by_candle(x: &Tensor, indices: &[u32]) -> Result<Tensor> {
    let count = indices.len();
    let indices = Tensor::from_slice(indices, count, &Device::Cpu)?;
    x.index_select(&indices.to_device(x.device())?, 0)
}

fn copy<T: Copy + Default + Send + Sync>(
    data: &[T],
    (start, end): (usize, usize),
    indices: &[u32],
    width: usize,
) -> Vec<T> {
    let data = &data[start..end];
    let row = |i: usize| &data[i * width..(i + 1) * width];
    if indices.len() * width < SERIAL {
        let mut out = Vec::with_capacity(indices.len() * width);
        match width {
            1 => out.extend(indices.iter().map(|i| data[*i as usize])),
            _ => indices.iter().for_each(|i| out.extend_from_slice(row(*i as usize))),
        }
        return out;
    }
    let mut out = vec![T::default(); indices.len() * width];
    for_rows(&mut out, width, |first, part| {
        for (to, index) in part.chunks_exact_mut(width).zip(&indices[first..]) {
            to.copy_from_slice(row(*index as usize));
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    #[test]
    fn rows_in_order() {
        let x = Tensor::arange(0f32, 12.0, &Device::Cpu).unwrap().reshape((4, 3)).unwrap();
        let y = gather_rows(&x, &[3, 0, 3]).unwrap();
        assert_eq!(
            y.to_vec2::<f32>().unwrap(),
            [[9.0, 10.0, 11.0], [0.0, 1.0, 2.0], [9.0, 10.0, 11.0]]
        );
        let narrowed = x.narrow(0, 1, 3).unwrap();
        assert_eq!(
            gather_rows(&narrowed, &[0]).unwrap().to_vec2::<f32>().unwrap(),
            [[3.0, 4.0, 5.0]]
        );
        let labels = Tensor::new(&[5i64, 6, 7], &Device::Cpu).unwrap();
        assert_eq!(gather_rows(&labels, &[2, 1]).unwrap().to_vec1::<i64>().unwrap(), [7, 6]);
        assert_eq!(
            gather_rows(&x.t().unwrap(), &[1]).unwrap().to_vec2::<f32>().unwrap(),
            [[1.0, 4.0, 7.0, 10.0]]
        );
        assert_eq!(gather_rows(&x, &[]).unwrap().dims(), [0, 3]);
        assert!(gather_rows(&x, &[4]).is_err());
    }

    #[test]
    fn every_type_keeps_its_values() {
        let x = Tensor::arange(0i64, 6, &Device::Cpu).unwrap().reshape((3, 2)).unwrap();
        for dtype in [
            DType::U8,
            DType::U32,
            DType::I16,
            DType::I32,
            DType::I64,
            DType::BF16,
            DType::F16,
            DType::F32,
            DType::F64,
        ] {
            let y = gather_rows(&x.to_dtype(dtype).unwrap(), &[2, 0, 2]).unwrap();
            assert_eq!(y.dtype(), dtype);
            let y = y.to_dtype(DType::I64).unwrap().to_vec2::<i64>().unwrap();
            assert_eq!(y, [[4, 5], [0, 1], [4, 5]], "{dtype:?}");
        }
    }

    #[test]
    fn large_batches_match_candle() {
        let x =
            Tensor::arange(0f32, 700_000.0, &Device::Cpu).unwrap().reshape((1000, 700)).unwrap();
        let indices: Vec<u32> = (0..1000).map(|i| (i * 7919) % 1000).collect();
        let ours = gather_rows(&x, &indices).unwrap();
        let theirs = by_candle(&x, &indices).unwrap();
        assert_eq!(
            (ours - theirs).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap(),
            0.0
        );
    }
}
