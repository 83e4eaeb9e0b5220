//! The elements of a `.npy` file, from their bytes into a tensor.

use super::header::{Format, Number};
use crate::array::too_wide;
use candle_core::WithDType;
use half::f16;
use sconce_core::{DType, Device, Tensor};
use std::io::Read;

impl Number {
    /// The type of a tensor of such elements: their own, or the nearest that holds all their values.
    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F16 => DType::F16,
            Self::F32 => DType::F32,
            Self::F64 => DType::F64,
            Self::I8 | Self::I16 => DType::I16,
            Self::I32 | Self::U16 => DType::I32,
            Self::I64 | Self::U64 => DType::I64,
            Self::U8 | Self::Bool => DType::U8,
            Self::U32 => DType::U32,
        }
    }
}

/// As many elements as `shape` has, in C order.
pub(crate) fn read(
    reader: &mut impl Read,
    format: Format,
    shape: &[usize],
) -> Result<Tensor, String> {
    let (r, f) = (reader, format);
    match format.number {
        Number::F16 => decode(r, f, shape, f16::from_le_bytes),
        Number::F32 => decode(r, f, shape, f32::from_le_bytes),
        Number::F64 => decode(r, f, shape, f64::from_le_bytes),
        Number::I8 => decode(r, f, shape, |b| i16::from(i8::from_le_bytes(b))),
        Number::I16 => decode(r, f, shape, i16::from_le_bytes),
        Number::I32 => decode(r, f, shape, i32::from_le_bytes),
        Number::I64 => decode(r, f, shape, i64::from_le_bytes),
        Number::U8 => decode(r, f, shape, u8::from_le_bytes),
        Number::U16 => decode(r, f, shape, |b| i32::from(u16::from_le_bytes(b))),
        Number::U32 => decode(r, f, shape, u32::from_le_bytes),
        Number::U64 => {
            let values = values(r, f, shape, i64::from_le_bytes)?;
            match values.iter().find(|value| **value < 0) {
                Some(value) => Err(format!("cannot be read: {}", too_wide(*value as u64))),
                None => tensor(values, shape),
            }
        }
        Number::Bool => decode(r, f, shape, |[b]| u8::from(b != 0)),
    }
}

fn decode<const N: usize, T: WithDType>(
    reader: &mut impl Read,
    format: Format,
    shape: &[usize],
    convert: impl Fn([u8; N]) -> T,
) -> Result<Tensor, String> {
    tensor(values(reader, format, shape, convert)?, shape)
}

fn tensor<T: WithDType>(values: Vec<T>, shape: &[usize]) -> Result<Tensor, String> {
    Tensor::from_vec(values, shape, &Device::Cpu)
        .map_err(|error| format!("cannot be made a tensor: {error}"))
}

/// The elements in the order of the file, each from its little-endian bytes.
fn values<const N: usize, T>(
    reader: &mut impl Read,
    format: Format,
    shape: &[usize],
    convert: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, String> {
    let count: usize = shape.iter().product();
    let mut values = Vec::with_capacity(count);
    let mut buffer = vec![0u8; (1 << 16).min(count * N)];
    while values.len() < count {
        let bytes = buffer.len().min((count - values.len()) * N);
        let part = buffer.get_mut(..bytes).unwrap_or_default();
        reader.read_exact(part).map_err(|e| format!("cannot be read: {e}"))?;
        let (elements, _) = part.as_chunks_mut::<N>();
        if format.big_endian {
            elements.iter_mut().for_each(|bytes| bytes.reverse());
        }
        values.extend(elements.iter().map(|bytes| convert(*bytes)));
    }
    Ok(values)
}
