//! numpy's `.npy` files as tensors.

mod header;

use crate::array::too_wide;
use candle_core::WithDType;
use header::{Header, Number};
use sconce_core::{DType, Device, Error, Result, Tensor};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Reads a `.npy` file into a tensor on the CPU, of the file's shape.
///
/// Floats (f2, f4, f8) become `F32`, integers and booleans `I64`; C and Fortran order, both byte
/// orders, format versions 1 to 3. A file is trusted in nothing: its header must announce exactly
/// the bytes that it holds before any are read.
///
/// # Errors
/// A file that is missing, truncated or corrupted; Python objects, text, complex numbers, records;
/// an unsigned value beyond `i64::MAX`.
pub fn read_npy(path: impl AsRef<Path>) -> Result<Tensor> {
    let path = path.as_ref();
    let unreadable = |e: io::Error| Error::file(path, format!("cannot be read: {e}"));
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Error::file(path, "is not a regular file; give the name of a .npy file"));
    }
    read(BufReader::with_capacity(1 << 16, file), metadata.len())
        .map_err(|message| Error::file(path, message))
}

/// As [`read_npy`], from the bytes of a file.
///
/// # Errors
/// As [`read_npy`].
pub fn read_npy_bytes(bytes: &[u8]) -> Result<Tensor> {
    read(bytes, bytes.len() as u64).map_err(|message| Error::data(format!("the array {message}")))
}

/// Writes a tensor as a `.npy` file that numpy loads with the same shape and type (half precision
/// as f4), whole or not at all ([`sconce_core::atomic`]).
///
/// # Errors
/// A path that cannot be written; a type that numpy does not have.
pub fn write_npy(path: impl AsRef<Path>, tensor: &Tensor) -> Result<()> {
    fn write<T: WithDType, const N: usize>(
        (path, tensor, descr): (&Path, &Tensor, &str),
        bytes: impl Fn(T) -> [u8; N],
    ) -> Result<()> {
        let values = tensor.flatten_all()?.to_vec1::<T>()?;
        sconce_core::atomic::write_atomic(path, |sink| {
            sink.write_all(&header::written(descr, tensor.dims()))?;
            values.iter().try_for_each(|value| sink.write_all(&bytes(*value)))
        })
    }

    let path = path.as_ref();
    match tensor.dtype() {
        DType::F32 => write((path, tensor, "<f4"), f32::to_le_bytes),
        DType::F64 => write((path, tensor, "<f8"), f64::to_le_bytes),
        DType::F16 | DType::BF16 => {
            write((path, &tensor.to_dtype(DType::F32)?, "<f4"), f32::to_le_bytes)
        }
        DType::U8 => write((path, tensor, "|u1"), u8::to_le_bytes),
        DType::U32 => write((path, tensor, "<u4"), u32::to_le_bytes),
        DType::I16 => write((path, tensor, "<i2"), i16::to_le_bytes),
        DType::I32 => write((path, tensor, "<i4"), i32::to_le_bytes),
        DType::I64 => write((path, tensor, "<i8"), i64::to_le_bytes),
        other => Err(Error::file(path, format!("numpy has no type for {other:?}"))),
    }
}

fn read(mut reader: impl Read, len: u64) -> Result<Tensor, String> {
    let header = header::read(&mut reader, len)?;
    let (r, h) = (&mut reader, &header);
    match h.number {
        Number::F16 => shaped(decode(r, h, |b| half(u16::from_le_bytes(b)))?, h),
        Number::F32 => shaped(decode(r, h, f32::from_le_bytes)?, h),
        Number::F64 => shaped(decode(r, h, |b| f64::from_le_bytes(b) as f32)?, h),
        Number::I8 => shaped(decode(r, h, |b| i64::from(i8::from_le_bytes(b)))?, h),
        Number::I16 => shaped(decode(r, h, |b| i64::from(i16::from_le_bytes(b)))?, h),
        Number::I32 => shaped(decode(r, h, |b| i64::from(i32::from_le_bytes(b)))?, h),
        Number::I64 => shaped(decode(r, h, i64::from_le_bytes)?, h),
        Number::U8 => shaped(decode(r, h, |b| i64::from(u8::from_le_bytes(b)))?, h),
        Number::U16 => shaped(decode(r, h, |b| i64::from(u16::from_le_bytes(b)))?, h),
        Number::U32 => shaped(decode(r, h, |b| i64::from(u32::from_le_bytes(b)))?, h),
        Number::U64 => {
            let values = decode(r, h, i64::from_le_bytes)?;
            match values.iter().find(|value| **value < 0) {
                Some(value) => Err(format!("cannot be read: {}", too_wide(*value as u64))),
                None => shaped(values, h),
            }
        }
        Number::Bool => shaped(decode(r, h, |[b]| i64::from(b != 0))?, h),
    }
}

/// The elements in the order of the file, each from its little-endian bytes.
fn decode<const N: usize, T>(
    reader: &mut impl Read,
    header: &Header,
    convert: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, String> {
    let mut values = Vec::with_capacity(header.count);
    let mut buffer = vec![0u8; (1 << 16).min(header.count * N)];
    while values.len() < header.count {
        let bytes = buffer.len().min((header.count - values.len()) * N);
        let part = buffer.get_mut(..bytes).unwrap_or_default();
        reader.read_exact(part).map_err(|e| format!("cannot be read: {e}"))?;
        let (elements, _) = part.as_chunks_mut::<N>();
        if header.big_endian {
            elements.iter_mut().for_each(|bytes| bytes.reverse());
        }
        values.extend(elements.iter().map(|bytes| convert(*bytes)));
    }
    Ok(values)
}

/// Fortran order is C order of the reversed axes.
fn shaped<T: WithDType>(values: Vec<T>, header: &Header) -> Result<Tensor, String> {
    let tensor = || -> Result<Tensor> {
        if !header.fortran {
            return Ok(Tensor::from_vec(values, header.shape.as_slice(), &Device::Cpu)?);
        }
        let reversed: Vec<usize> = header.shape.iter().rev().copied().collect();
        let axes: Vec<usize> = (0..reversed.len()).rev().collect();
        Ok(Tensor::from_vec(values, reversed, &Device::Cpu)?.permute(axes)?.contiguous()?)
    };
    tensor().map_err(|error| format!("cannot be made a tensor: {error}"))
}

/// IEEE half precision: 1 sign, 5 exponent and 10 fraction bits.
fn half(bits: u16) -> f32 {
    let (sign, exponent) = (u32::from(bits & 0x8000) << 16, u32::from(bits >> 10) & 31);
    let fraction = u32::from(bits & 0x03ff);
    match exponent {
        0 => f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToTensor;
    use ndarray_npy::WriteNpyExt;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(serde::Deserialize)]
    struct Case {
        bytes: String,
        shape: Vec<usize>,
        values: Option<Vec<serde_json::Value>>,
    }

    /// Files as numpy writes them (tests/golden/make_golden.py).
    fn cases() -> BTreeMap<String, (Vec<u8>, Case)> {
        let cases: BTreeMap<String, Case> =
            serde_json::from_str(include_str!("../tests/golden/npy.json")).unwrap();
        let hex = |text: &str| -> Vec<u8> {
            text.as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect()
        };
        cases.into_iter().map(|(name, case)| (name, (hex(&case.bytes), case))).collect()
    }

    #[test]
    fn numpy_s_files_are_read() {
        for (name, (bytes, case)) in cases() {
            let Some(values) = case.values else { continue };
            let tensor = read_npy_bytes(&bytes).unwrap();
            assert_eq!(tensor.dims(), case.shape, "{name}");
            let flat = tensor.flatten_all().unwrap();
            if tensor.dtype() == DType::F32 {
                let wanted: Vec<f32> = values.iter().map(|v| v.as_f64().unwrap() as f32).collect();
                assert_eq!(flat.to_vec1::<f32>().unwrap(), wanted, "{name}");
                assert!(name.starts_with('f') || !values.iter().any(serde_json::Value::is_i64));
            } else {
                let integer = |v: &serde_json::Value| v.as_i64().or(v.as_bool().map(i64::from));
                let wanted: Vec<i64> = values.iter().map(|v| integer(v).unwrap()).collect();
                assert_eq!(flat.to_vec1::<i64>().unwrap(), wanted, "{name}");
            }
        }
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        let mut cases = cases();
        for (name, expected) in [
            ("refused_object", "Python objects (pickled), which are never loaded"),
            ("refused_complex", "elements of type `<c8`"),
            ("refused_text", "elements of type `<U2`"),
            ("refused_record", "records of several fields"),
            ("refused_u8", "9223372036854775808"),
        ] {
            let (bytes, _) = cases.remove(name).unwrap();
            let error = read_npy_bytes(&bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(cases.values().all(|(_, case)| case.values.is_some()));
    }

    #[test]
    fn every_truncation_and_extension_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let (bytes, _) = cases().remove("f4_le_c").unwrap();
        for len in (0..bytes.len()).chain([bytes.len() + 1]) {
            let mut part = bytes.clone();
            part.resize(len, 0);
            std::fs::write(&path, part).unwrap();
            let error = read_npy(&path).unwrap_err().to_string();
            let what = if len < bytes.len() { "truncated" } else { "corrupted" };
            assert!(error.contains("x.npy: ") && error.contains(what), "{len}: {error}");
        }
        std::fs::write(&path, &bytes).unwrap();
        read_npy(&path).unwrap();
        let error = read_npy(dir.path()).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
        let error = read_npy(dir.path().join("y.npy")).unwrap_err().to_string();
        assert!(error.contains("y.npy: cannot be read"), "{error}");
    }

    fn with_header(text: &str) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes
    }

    #[test]
    fn lengths_are_not_believed() {
        let error = |bytes: &[u8]| read_npy_bytes(bytes).unwrap_err().to_string();
        for shape in ["(1099511627776,)", "(4294967296, 4294967296)", "(1000, 1000)"] {
            let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n");
            let message = error(&with_header(&text));
            assert!(message.contains("truncated") || message.contains("larger than any memory"));
        }
        let zero = "{'descr': '<f4', 'fortran_order': True, 'shape': (9223372036854775807, 9, 0)}";
        assert!(error(&with_header(zero)).contains("larger than any memory"));
        assert!(error(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{").contains("header of 4294967295"));
        assert!(error(b"\x93NUMPY\x09\x00\xff\xff").contains("unknown version 9.0"));
        assert!(error(b"PK\x03\x04 a zip file").contains("not a .npy file"));
        // Brackets on which a general parser of Python literals never ends.
        assert!(error(&with_header(&"[".repeat(5000))).contains("corrupted header"));
    }

    #[test]
    fn every_type_is_written_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.npy");
        let x = [[1f32, 2., 3.], [4., 5., 6.]].to_tensor().unwrap();
        for dtype in [
            DType::F32,
            DType::F64,
            DType::F16,
            DType::BF16,
            DType::U8,
            DType::U32,
            DType::I16,
            DType::I32,
            DType::I64,
        ] {
            write_npy(&path, &x.to_dtype(dtype).unwrap().t().unwrap()).unwrap();
            let back = read_npy(&path).unwrap();
            assert_eq!(back.dtype(), if dtype.is_float() { DType::F32 } else { DType::I64 });
            let back = back.to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(back, [[1., 4.], [2., 5.], [3., 6.]], "{dtype:?}");
        }
        let error = write_npy(dir.path(), &x).unwrap_err().to_string();
        assert!(error.contains("is a folder"), "{error}");
    }

    #[test]
    fn the_bytes_are_numpy_s() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.npy");
        let (bytes, _) = cases().remove("f4_le_c").unwrap();
        write_npy(&path, &read_npy_bytes(&bytes).unwrap()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    proptest! {
        /// ndarray -> .npy (by ndarray-npy) -> tensor, for both orders.
        #[test]
        fn arrays_come_back(
            rows in 0usize..7, columns in 0usize..7, depth in 0usize..4, seed: u64, fortran: bool,
        ) {
            let mut stream = sconce_core::Stream::named(seed, "npy");
            let array =
                ndarray::Array3::from_shape_fn((rows, columns, depth), |_| stream.normal() as f32);
            let view = if fortran { array.view().reversed_axes() } else { array.view() };
            let mut bytes = Vec::new();
            view.write_npy(&mut bytes).unwrap();
            let tensor = read_npy_bytes(&bytes).unwrap();
            prop_assert_eq!(tensor.dims(), view.shape());
            let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            prop_assert_eq!(values, view.iter().copied().collect::<Vec<_>>());
        }
    }
}
