//! Weights as safetensors: a JSON header (name, type, shape, place of each array) and the bytes.
//!
//! Source: the safetensors format, <https://github.com/huggingface/safetensors>.

use crate::atomic::Sink;
use crate::{Array, Element, NamedTensors, atomic};
use safetensors::tensor::{Dtype, TensorInfo};
use safetensors::{SafeTensorError, SafeTensors};
use sconce_core::{Error, Json, Result};
use serde_json::Map;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The key of `__metadata__` under which ours keep the architecture, as Keras's config.json.
const ARCHITECTURE: &str = "config";

/// What a safetensors file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SafetensorsFile {
    /// The header's `__metadata__`; ours has `"format": "sconce"`.
    pub metadata: BTreeMap<String, String>,
    /// The arrays. Written files keep this order among arrays of equal element size.
    pub tensors: NamedTensors,
}

impl SafetensorsFile {
    /// Arrays by weight path ("dense/kernel"), to be written.
    pub fn new(tensors: NamedTensors) -> Self {
        let metadata = BTreeMap::from([("format".to_string(), "sconce".to_string())]);
        Self { metadata, tensors }
    }

    /// Keeps the architecture (Keras's JSON) beside the weights.
    pub fn with_architecture(mut self, json: String) -> Self {
        self.metadata.insert(ARCHITECTURE.to_string(), json);
        self
    }

    /// The architecture beside the weights, in files of ours.
    pub fn architecture(&self) -> Option<&str> {
        self.metadata.get(ARCHITECTURE).map(String::as_str)
    }

    /// Reads a file, made by anyone.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
        Self::from_bytes(&bytes, path)
    }

    /// Reads the bytes of a file; `name` is what errors call it.
    pub fn from_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<Self> {
        let name = name.as_ref();
        let bad = |message: String| Error::file(name, message);
        let (header_len, header) =
            SafeTensors::read_metadata(bytes).map_err(|error| bad(explain(&error, bytes)))?;
        let data = bytes.get(8 + header_len..).unwrap_or_default();
        let mut file = Self::default();
        file.metadata.extend(header.metadata().clone().unwrap_or_default());
        for path in header.offset_keys() {
            let Some(info) = header.info(&path) else { continue };
            let element = element_of(info.dtype).ok_or_else(|| {
                bad(format!(
                    "the array `{path}` has type {}, which is not supported; known are {}",
                    info.dtype,
                    Element::ALL.map(Element::name).join(", ")
                ))
            })?;
            let (from, to) = info.data_offsets;
            let array = data
                .get(from..to)
                .ok_or_else(|| Error::data("its data ends early"))
                .and_then(|data| Array::new(element, &info.shape, data.to_vec()))
                .map_err(|error| bad(format!("the array `{path}`: {error}")))?;
            file.tensors.insert(path, array).map_err(|error| bad(error.to_string()))?;
        }
        Ok(file)
    }

    /// Writes the file: the old one stays until the new one is whole.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        atomic::write_atomic(path, |sink| self.write_to(sink))
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = io::Cursor::new(Vec::new());
        self.write_to(&mut bytes).map_err(|error| Error::data(error.to_string()))?;
        Ok(bytes.into_inner())
    }

    /// The crate's own writer keeps its metadata in a hash map, whose order would make two files of
    /// the same weights differ; and it holds a second copy of all weights.
    fn write_to(&self, sink: &mut dyn Sink) -> io::Result<()> {
        let mut arrays: Vec<(&str, &Array)> = self.tensors.iter().collect();
        // Readers may map the file: wide elements first keeps all of them aligned.
        arrays.sort_by_key(|(_, array)| std::cmp::Reverse(array.element().size()));
        let mut header = Map::new();
        header.insert("__metadata__".to_string(), serde_json::to_value(&self.metadata)?);
        let mut from = 0;
        for (path, array) in &arrays {
            if header.contains_key(*path) {
                let taken = format!("a weight cannot be called `{path}` in safetensors");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, taken));
            }
            let to = from + array.bytes().len();
            let dtype = dtype_of(array.element());
            let info =
                TensorInfo { dtype, shape: array.shape().to_vec(), data_offsets: (from, to) };
            header.insert(path.to_string(), serde_json::to_value(info)?);
            from = to;
        }
        let mut header = Json::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        sink.write_all(&(header.len() as u64).to_le_bytes())?;
        sink.write_all(&header)?;
        arrays.iter().try_for_each(|(_, array)| sink.write_all(array.bytes()))
    }
}

fn explain(error: &SafeTensorError, bytes: &[u8]) -> String {
    let size = bytes.len();
    let declared = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b)).unwrap_or_default();
    let what = match error {
        SafeTensorError::HeaderTooSmall => {
            format!("8 bytes with the header's length were expected, the file has {size}")
        }
        SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength => {
            format!("its first 8 bytes announce a header of {declared} bytes, the file has {size}")
        }
        SafeTensorError::MetadataIncompleteBuffer => {
            format!("its header describes another amount of data than the {size} bytes it has")
        }
        other => other.to_string(),
    };
    format!("is not a whole safetensors file: {what}")
}

fn element_of(dtype: Dtype) -> Option<Element> {
    Element::ALL.into_iter().find(|element| dtype_of(*element) == dtype)
}

fn dtype_of(element: Element) -> Dtype {
    match element {
        Element::Bool => Dtype::BOOL,
        Element::Uint8 => Dtype::U8,
        Element::Int8 => Dtype::I8,
        Element::Uint16 => Dtype::U16,
        Element::Int16 => Dtype::I16,
        Element::Uint32 => Dtype::U32,
        Element::Int32 => Dtype::I32,
        Element::Uint64 => Dtype::U64,
        Element::Int64 => Dtype::I64,
        Element::Float16 => Dtype::F16,
        Element::Bfloat16 => Dtype::BF16,
        Element::Float32 => Dtype::F32,
        Element::Float64 => Dtype::F64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One array of each type, of ranks 0 to 3, one of them empty.
    fn example() -> SafetensorsFile {
        let mut tensors = NamedTensors::new();
        let shapes: [&[usize]; 4] = [&[], &[3], &[2, 2], &[2, 0, 1]];
        for (i, element) in Element::ALL.into_iter().enumerate() {
            let shape = shapes[i % 4];
            let len = crate::array::byte_len(element, shape).unwrap();
            let bytes = (0..len).map(|b| (b % 2) as u8).collect();
            let array = Array::new(element, shape, bytes).unwrap();
            tensors.insert(format!("layer_{i}/{element}"), array).unwrap();
        }
        SafetensorsFile::new(tensors)
    }

    #[test]
    fn every_type_and_rank_comes_back() {
        let file = example();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weights.safetensors");
        file.write(&path).unwrap();
        let back = SafetensorsFile::read(&path).unwrap();
        assert_eq!(back.metadata["format"], "sconce");
        assert_eq!(back.tensors.len(), file.tensors.len());
        for (path, array) in file.tensors.iter() {
            assert_eq!(back.tensors.get(path), Some(array), "{path}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), back.to_bytes().unwrap());
    }

    #[test]
    fn the_crate_reads_what_we_write_aligned() {
        let bytes = example().to_bytes().unwrap();
        let (header, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header % 8, 0);
        for (name, info) in metadata.tensors() {
            assert_eq!(info.data_offsets.0 % (info.dtype.bitsize() / 8), 0, "{name}");
        }
    }

    #[test]
    fn every_truncation_is_an_error_that_names_the_file() {
        let bytes = example().to_bytes().unwrap();
        for len in 0..bytes.len() {
            let error = SafetensorsFile::from_bytes(&bytes[..len], "w.safetensors").unwrap_err();
            assert!(error.to_string().starts_with("w.safetensors: is not a whole"), "{error}");
        }
    }

    #[test]
    fn a_huge_length_is_not_believed() {
        let mut bytes = example().to_bytes().unwrap();
        for length in [u64::MAX, u64::MAX - 7, 1 << 40, 99_999_999] {
            bytes[..8].copy_from_slice(&length.to_le_bytes());
            let error = SafetensorsFile::from_bytes(&bytes, "w").unwrap_err().to_string();
            assert!(error.contains(&format!("announce a header of {length} bytes")), "{error}");
        }
    }

    #[test]
    fn unknown_types_and_reserved_names_are_named() {
        let header = br#"{"x":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header);
        bytes.push(0);
        let error = SafetensorsFile::from_bytes(&bytes, "w").unwrap_err().to_string();
        assert!(error.contains("`x` has type F8_E4M3") && error.contains("float32"), "{error}");

        let mut tensors = NamedTensors::new();
        let array = Array::new(Element::Uint8, &[], vec![1]).unwrap();
        tensors.insert("__metadata__", array).unwrap();
        let error = SafetensorsFile::new(tensors).to_bytes().unwrap_err().to_string();
        assert!(error.contains("`__metadata__`"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = SafetensorsFile::read("no/such/file").unwrap_err().to_string();
        assert!(error.starts_with("no/such/file: cannot be read"), "{error}");
    }
}
