//! numpy's `.npz` files: several named arrays in one zip file.

use crate::messages::{open, printable};
use crate::npy;
use sconce_core::{Error, Result, Tensor};
use std::io::BufReader;
use std::path::Path;
use zip::ZipArchive;

/// The most that deflate can expand what it is given.
const EXPANSION: u64 = 1032;
/// Room for a header in a file of very few bytes.
const SMALL: u64 = 1 << 16;

/// Reads every array of a `.npz` file (of `numpy.savez` or `savez_compressed`) with its name, in the
/// order of the file. Types and checks are those of [`crate::read_npy`].
///
/// # Errors
/// A file that is missing or no zip file; a member that is no `.npy` file or expands to more than its
/// compressed bytes can hold.
pub fn read_npz(path: impl AsRef<Path>) -> Result<Vec<(String, Tensor)>> {
    let path = path.as_ref();
    let wrong = |message: String| Error::file(path, message);
    let (file, _) = open(path)?;
    let mut zip = ZipArchive::new(BufReader::new(file))
        .map_err(|_| wrong("is not a .npz file (a zip archive of .npy files)".into()))?;
    let mut arrays: Vec<(String, Tensor)> = Vec::new();
    for index in 0..zip.len() {
        let member = zip.by_index(index).map_err(|e| wrong(format!("is damaged: {e}")))?;
        let name = match member.name() {
            Ok(name) => name.strip_suffix(".npy").unwrap_or(&name).to_string(),
            Err(error) => return Err(wrong(format!("is damaged: {error}"))),
        };
        let at = |message: String| wrong(format!("the array `{}` {message}", printable(&name)));
        if arrays.iter().any(|(other, _)| *other == name) {
            return Err(at("is in it twice".into()));
        }
        let size = member.size();
        if size > member.compressed_size().saturating_mul(EXPANSION).saturating_add(SMALL) {
            return Err(at(format!(
                "claims {size} bytes, more than its part of the file can hold"
            )));
        }
        let array = npy::read(BufReader::new(member), size).map_err(at)?;
        arrays.push((name, array));
    }
    match arrays.is_empty() {
        true => Err(wrong("holds no arrays".into())),
        false => Ok(arrays),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use ndarray_npy::WriteNpyExt;
    use std::io::Write;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    fn npz(members: &[(&str, &[u8])], method: CompressionMethod) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut zip = ZipWriter::new(file.reopen().unwrap());
        for (name, bytes) in members {
            let options = SimpleFileOptions::default().compression_method(method);
            zip.start_file(*name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        file
    }

    fn npy(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes);
        bytes
    }

    #[test]
    fn every_array_is_read_by_name() {
        let a = npy(|bytes| array![[1f32, 2.], [3., 4.]].write_npy(bytes).unwrap());
        let b = npy(|bytes| array![7i64, 8].write_npy(bytes).unwrap());
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let file = npz(&[("wide.npy", &a), ("ids.npy", &b)], method);
            let arrays = read_npz(file.path()).unwrap();
            assert_eq!((arrays[0].0.as_str(), arrays[1].0.as_str()), ("wide", "ids"));
            assert_eq!(arrays[0].1.to_vec2::<f32>().unwrap(), [[1., 2.], [3., 4.]]);
            assert_eq!(arrays[1].1.to_vec1::<i64>().unwrap(), [7, 8]);
        }
    }

    #[test]
    fn what_is_no_npz_is_refused() {
        let error = |members: &[(&str, &[u8])]| {
            let file = npz(members, CompressionMethod::Stored);
            read_npz(file.path()).unwrap_err().to_string()
        };
        assert!(error(&[]).contains("holds no arrays"));
        assert!(error(&[("a.npy", b"nonsense")]).contains("the array `a` "));
        let plain = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(plain.path(), b"not a zip").unwrap();
        let error = read_npz(plain.path()).unwrap_err().to_string();
        assert!(error.contains("is not a .npz file"), "{error}");
        // A member cut off, and one whose size is a lie.
        let a = npy(|bytes| array![1f32, 2.].write_npy(bytes).unwrap());
        let file = npz(&[("a.npy", &a)], CompressionMethod::Stored);
        let mut bytes = std::fs::read(file.path()).unwrap();
        let entry = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        bytes[entry + 24..entry + 28].copy_from_slice(&u32::MAX.to_le_bytes()[..]);
        bytes[entry + 27] = 0x7f;
        std::fs::write(file.path(), &bytes).unwrap();
        let error = read_npz(file.path()).unwrap_err().to_string();
        assert!(error.contains("more than its part of the file can hold"), "{error}");
    }
}
