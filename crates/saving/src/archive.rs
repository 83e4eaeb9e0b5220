//! Keras's `.keras` archive: a zip file of two JSON documents and the weights.
//!
//! Source: `saving_lib.py` of Keras 3.15.

use crate::atomic::{Sink, write_atomic};
use crate::first_error::FirstError;
use crate::{NamedTensors, h5, keras_json, metadata};
use sconce_core::{Error, Json, Result};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, Write};
use std::path::Path;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const CONFIG: &str = "config.json";
const METADATA: &str = "metadata.json";
const WEIGHTS: &str = "model.weights.h5";

/// A JSON value takes up to some 30 times its text in memory; the largest configurations of Keras's
/// own applications are below 2 MiB.
const MAX_JSON: u64 = 32 << 20;
/// Keras stores members as they are; a compressed copy of real weights shrinks a little. Small files
/// may expand more (zeros of fresh optimizer slots).
const EXPANSION: u64 = 100;
const ALWAYS_ALLOWED: u64 = 256 << 20;
const NEVER_ALLOWED: u64 = 64 << 30;

/// The contents of a `.keras` file. Reading never writes anything to disk and never runs anything.
///
/// ```no_run
/// # fn main() -> sconce_core::Result<()> {
/// let mut archive = sconce_saving::KerasArchive::read("model.keras")?;
/// sconce_saving::keras_json::scan(&archive.config, "", &sconce_saving::network::is_supported)?;
/// for (path, array) in archive.weights.iter() {
///     println!("{path}: {} {:?}", array.element(), array.shape());
/// }
/// archive.config["compile_config"] = serde_json::json!({});
/// archive.write("copy.keras")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KerasArchive {
    /// The serialized model: `{"module", "class_name", "config", "build_config", "compile_config"}`.
    pub config: Json,
    /// `{"keras_version", "date_saved"}`; empty if the file has none (Keras does not need it).
    pub metadata: Json,
    /// Variables of layers and of the optimizer; [`crate::paths`] knows their paths.
    pub weights: NamedTensors,
}

impl KerasArchive {
    /// An archive to be written now.
    pub fn new(config: Json, weights: NamedTensors) -> Self {
        Self { config, metadata: metadata::now(), weights }
    }

    /// Reads a file that Keras 3 or Sconce saved.
    ///
    /// A file may expand to 100 times its size (or 256 MiB, if that is more), at most 64 GiB.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let cannot = |error: io::Error| Error::file(path, format!("cannot be read: {error}"));
        let file = File::open(path).map_err(cannot)?;
        let found = file.metadata().map_err(cannot)?;
        if found.is_dir() {
            return Err(Error::file(
                path,
                "is a folder; an unpacked archive must be zipped into one .keras file",
            ));
        }
        Self::from_reader(BufReader::new(file), found.len(), path)
    }

    /// Reads the bytes of a file; `name` is what errors call it.
    pub fn from_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<Self> {
        Self::from_reader(Cursor::new(bytes), bytes.len() as u64, name.as_ref())
    }

    fn from_reader(reader: impl Read + Seek, len: u64, file: &Path) -> Result<Self> {
        let mut members = Members::open(reader, len, file)?;
        let config = members.json(CONFIG)?.ok_or_else(|| members.missing(CONFIG))?;
        let metadata = members.json(METADATA)?.unwrap_or_else(|| Json::Object(Default::default()));
        let weights =
            members.bytes(WEIGHTS, NEVER_ALLOWED)?.ok_or_else(|| members.missing(WEIGHTS))?;
        let weights = NamedTensors::from_h5(weights, &Place { file, member: Some(WEIGHTS) })?;
        Ok(Self { config, metadata, weights })
    }

    /// Writes the file, so that Keras opens it; the old one stays until the new one is whole.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let weights = self.weights.h5_builder().map_err(|e| Error::file(path, e.to_string()))?;
        write_atomic(path, |sink| self.write_to(weights, sink))
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        let written = self.write_to(self.weights.h5_builder()?, &mut bytes);
        written.map_err(|error| Error::data(error.to_string()))?;
        Ok(bytes.into_inner())
    }

    fn write_to(&self, weights: hdf5_pure::FileBuilder, sink: &mut dyn Sink) -> io::Result<()> {
        let mut sink = FirstError::new(sink);
        let result = self.zip(weights, &mut sink);
        sink.end(result)
    }

    fn zip(&self, weights: hdf5_pure::FileBuilder, sink: &mut FirstError) -> io::Result<()> {
        // As in Keras: this order, and members stored as they are.
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let mut zip = ZipWriter::new(sink);
        for (name, json) in [(METADATA, &self.metadata), (CONFIG, &self.config)] {
            zip.start_file(name, stored)?;
            zip.write_all(json.to_string().as_bytes())?;
        }
        let large = self.weights.total_bytes() > u64::from(u32::MAX) / 2;
        zip.start_file(WEIGHTS, stored.large_file(large))?;
        weights.finish_to(&mut zip).map_err(h5::io_error)?;
        zip.finish()?;
        Ok(())
    }
}

/// What an error message calls the place it is about.
pub(crate) struct Place<'a> {
    pub(crate) file: &'a Path,
    pub(crate) member: Option<&'a str>,
}

impl Place<'_> {
    pub(crate) fn error(&self, message: impl std::fmt::Display) -> Error {
        match self.member {
            Some(member) => Error::file(self.file, format!("`{member}`: {message}")),
            None => Error::file(self.file, message.to_string()),
        }
    }
}

/// How much may be unpacked from a file of `len` bytes.
pub(crate) fn allowance(len: u64) -> u64 {
    len.saturating_mul(EXPANSION).clamp(ALWAYS_ALLOWED, NEVER_ALLOWED)
}

/// The members of the zip file, read with bounds.
struct Members<'a, R> {
    zip: ZipArchive<R>,
    file: &'a Path,
    len: u64,
    left: u64,
}

impl<'a, R: Read + Seek> Members<'a, R> {
    fn open(mut reader: R, len: u64, file: &'a Path) -> Result<Self> {
        let mut head = Vec::new();
        let read = reader.by_ref().take(8).read_to_end(&mut head).and_then(|_| reader.rewind());
        read.map_err(|error| Error::file(file, format!("cannot be read: {error}")))?;
        if head == h5::SIGNATURE {
            return Err(Error::file(
                file,
                "is an HDF5 file, not a .keras archive; `ModelFile` reads both",
            ));
        }
        let zip = ZipArchive::new(reader).map_err(|error| {
            let why = match error {
                ZipError::Io(error) => error.to_string(),
                _ => "it is no zip file, or is cut off".to_string(),
            };
            Error::file(file, format!("is not a whole .keras archive: {why}"))
        })?;
        if zip.has_duplicate_names() {
            return Err(Error::file(file, "holds two members of the same name; it is refused"));
        }
        Ok(Self { zip, file, len, left: allowance(len) })
    }

    fn missing(&self, name: &str) -> Error {
        let found: Vec<String> =
            self.zip.file_names().flatten().map(|n| format!("`{n}`")).collect();
        let found = if found.is_empty() { "nothing".to_string() } else { found.join(", ") };
        Error::file(
            self.file,
            format!(
                "holds no `{name}`. A .keras archive of Keras 3 has it at its top level; found {found}"
            ),
        )
    }

    fn json(&mut self, name: &str) -> Result<Option<Json>> {
        let Some(bytes) = self.bytes(name, MAX_JSON)? else { return Ok(None) };
        let place = Place { file: self.file, member: Some(name) };
        let parsed = keras_json::parse(&bytes);
        parsed.map(Some).map_err(|error| place.error(explain(&error, &bytes)))
    }

    /// The bytes of a member, if there is one; never more than `most`, nor than is left of the file's
    /// allowance.
    fn bytes(&mut self, name: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let place = Place { file: self.file, member: Some(name) };
        let Some(index) = self.zip.index_for_name(name) else { return Ok(None) };
        let damaged = |error: &dyn std::fmt::Display| place.error(format!("is damaged: {error}"));
        let entry = self.zip.by_index(index).map_err(|error| damaged(&error))?;
        let declared = entry.size();
        let most = most.min(self.left);
        if declared > most {
            return Err(place.error(format!(
                "unpacks to {declared} bytes, which is more than the {most} that a file of {} bytes may \
                 (a decompression bomb?); it is refused",
                self.len
            )));
        }
        let mut bytes = Vec::new();
        // The declared size is a claim; only as much as the file itself has is reserved on trust.
        bytes.try_reserve(declared.min(self.len) as usize).map_err(|error| damaged(&error))?;
        // One byte more than declared, to see whether the claim holds and to reach the checksum.
        entry.take(declared + 1).read_to_end(&mut bytes).map_err(|error| damaged(&error))?;
        if bytes.len() as u64 != declared {
            return Err(
                place.error(format!("declares {declared} bytes but holds another number of them"))
            );
        }
        self.left -= declared;
        Ok(Some(bytes))
    }
}

/// What is wrong with a JSON document, with the text around it: Keras writes all of it in one line.
fn explain(error: &serde_json::Error, bytes: &[u8]) -> String {
    let line = bytes.split(|b| *b == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let from = error.column().saturating_sub(20).min(line.len());
    let near = line.get(from..(from + 40).min(line.len())).unwrap_or_default();
    let near = String::from_utf8_lossy(near);
    let hint = match near.contains("NaN") {
        true => ". Python writes what is no number this way; JSON has no word for it",
        false => "",
    };
    let what = if error.is_data() { "cannot be used" } else { "is not JSON" };
    format!("{what}: {error}, near `{near}`{hint}")
}
