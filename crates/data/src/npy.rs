//! numpy's `.npy` files as tensors.

pub(crate) mod elements;
pub(crate) mod header;

use crate::messages::open;
use candle_core::WithDType;
use half::f16;
use sconce_core::{DType, Error, Result, Tensor};
use std::io::{BufReader, Read};
use std::path::Path;

/// Reads a `.npy` file into a tensor on the CPU, of the file's shape.
///
/// Values keep their type: f2 `F16`, f4 `F32`, f8 `F64`, i2 `I16`, i4 `I32`, i8 `I64`, u1 `U8`, u4
/// `U32`, bool `U8`. A type that tensors lack becomes the nearest that holds all its values: i1 `I16`,
/// u2 `I32`, u8 `I64`. C and Fortran order, both byte orders, format versions 1 to 3. A file is
/// trusted in nothing: its header must announce exactly the bytes that it holds before any are read.
///
/// # Errors
/// A file that is missing, truncated, corrupted or no regular file; Python objects, text, complex
/// numbers, records; an unsigned value beyond `i64::MAX`.
pub fn read_npy(path: impl AsRef<Path>) -> Result<Tensor> {
    let path = path.as_ref();
    let (file, len) = open(path)?;
    read(BufReader::with_capacity(1 << 16, file), len).map_err(|message| Error::file(path, message))
}

/// As [`read_npy`], from the bytes of a file.
///
/// # Errors
/// As [`read_npy`].
pub fn read_npy_bytes(bytes: &[u8]) -> Result<Tensor> {
    read(bytes, bytes.len() as u64).map_err(|message| Error::data(format!("the array {message}")))
}

/// Writes a tensor as a `.npy` file that numpy loads with the same shape and type (`BF16`,
/// which numpy lacks, as f4), whole or not at all ([`sconce_core::atomic`]).
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
        DType::F16 => write((path, tensor, "<f2"), f16::to_le_bytes),
        DType::BF16 => write((path, &tensor.to_dtype(DType::F32)?, "<f4"), f32::to_le_bytes),
        DType::U8 => write((path, tensor, "|u1"), u8::to_le_bytes),
        DType::U32 => write((path, tensor, "<u4"), u32::to_le_bytes),
        DType::I16 => write((path, tensor, "<i2"), i16::to_le_bytes),
        DType::I32 => write((path, tensor, "<i4"), i32::to_le_bytes),
        DType::I64 => write((path, tensor, "<i8"), i64::to_le_bytes),
        other => Err(Error::file(path, format!("numpy has no type for {other:?}"))),
    }
}

pub(crate) fn read(mut reader: impl Read, len: u64) -> Result<Tensor, String> {
    let header = header::read(&mut reader, len)?;
    if !header.fortran {
        return elements::read(&mut reader, header.format, &header.shape);
    }
    // Fortran order is C order of the reversed axes.
    let reversed: Vec<usize> = header.shape.iter().rev().copied().collect();
    let axes: Vec<usize> = (0..reversed.len()).rev().collect();
    let tensor = elements::read(&mut reader, header.format, &reversed)?;
    let permuted = tensor.permute(axes).and_then(|tensor| tensor.contiguous());
    permuted.map_err(|error| format!("cannot be made a tensor: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToTensor;
    use ndarray_npy::WriteNpyExt;
    use proptest::prelude::*;
    use sconce_core::Device;
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
            let expected = name.split('_').next().and_then(type_of);
            if let Some(expected) = expected {
                assert_eq!(tensor.dtype(), expected, "{name}");
            }
            if tensor.dtype().is_float() {
                // Every f2 and f4 is an f64 exactly.
                let wanted: Vec<f64> = values.iter().map(|v| v.as_f64().unwrap()).collect();
                let flat = flat.to_dtype(DType::F64).unwrap();
                assert_eq!(flat.to_vec1::<f64>().unwrap(), wanted, "{name}");
            } else {
                let integer = |v: &serde_json::Value| v.as_i64().or(v.as_bool().map(i64::from));
                let wanted: Vec<i64> = values.iter().map(|v| integer(v).unwrap()).collect();
                let flat = flat.to_dtype(DType::I64).unwrap();
                assert_eq!(flat.to_vec1::<i64>().unwrap(), wanted, "{name}");
            }
        }
    }

    /// The type of a tensor for numpy's name of a type.
    fn type_of(numpy: &str) -> Option<DType> {
        Some(match numpy {
            "f2" | "halves" => DType::F16,
            "f4" => DType::F32,
            "f8" => DType::F64,
            "u1" | "bool" => DType::U8,
            "i1" | "i2" => DType::I16,
            "i4" | "u2" => DType::I32,
            "u4" => DType::U32,
            "i8" | "u8" => DType::I64,
            _ => return None,
        })
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
        assert!(error.contains("is a folder"), "{error}");
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
            assert_eq!(back.dtype(), if dtype == DType::BF16 { DType::F32 } else { dtype });
            let back = back.to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(back, [[1., 4.], [2., 5.], [3., 6.]], "{dtype:?}");
        }
        let error = write_npy(dir.path(), &x).unwrap_err().to_string();
        assert!(error.contains("is a folder"), "{error}");
    }

    /// 2^24 + 1, which f32 rounds to 2^24.
    #[test]
    fn ids_stay_exact() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ids.npy");
        let ids = [16_777_217i64, i64::MAX, i64::MIN].to_tensor().unwrap();
        write_npy(&path, &ids).unwrap();
        let back = read_npy(&path).unwrap().to_vec1::<i64>().unwrap();
        assert_eq!(back, [16_777_217, i64::MAX, i64::MIN]);
    }

    /// `(3)` would be a number in Python, and numpy refuses it.
    #[test]
    fn shapes_are_written_as_python_tuples() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.npy");
        for (shape, text) in [(vec![3], "(3,)"), (vec![], "()"), (vec![1, 3], "(1, 3)")] {
            write_npy(&path, &Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap()).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let header = String::from_utf8_lossy(&bytes[10..128]).into_owned();
            assert!(header.contains(&format!("'shape': {text}, }}")), "{header}");
            assert_eq!(bytes.len() % 4, 0);
        }
        // Byte for byte what numpy writes for arange(3, dtype="<i4"), but for the version.
        let (golden, _) = cases().remove("version2").unwrap();
        write_npy(&path, &[0i32, 1, 2].to_tensor().unwrap()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let text = |bytes: &[u8], start: usize| {
            String::from_utf8_lossy(&bytes[start..bytes.len() - 12]).trim_end().to_string()
        };
        assert_eq!(text(&bytes, 10), text(&golden, 12));
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
