//! `.npy` files larger than memory.

use super::order::{RowOrder, Rows};
use super::{ArraySpec, Batch, BatchOptions, BatchSource, Batches, SourceSpec};
use crate::messages::{count, open};
use crate::npy::elements;
use crate::npy::header::{self, Header};
use crate::spec::{Arrays, Files};
use sconce_core::{Error, Fingerprint, Json, Result, Tensor};
use sconce_kernels::MappedFile;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// `.npy` files, of which each batch reads its own rows through a memory map and nothing else, in the
/// same order as [`super::ArraySource`]. Types and byte orders as [`crate::read_npy`]; the rows of a
/// file in Fortran order lie scattered, so that its batches take longer.
///
/// The files must stay as they are while the source is in use. One that has become shorter is an
/// error at the next batch; if that happens during the copy of a row itself, the system ends the
/// process ([`MappedFile`] says more). To replace a file, write another and rename it.
///
/// A shuffled order takes four bytes of memory for each row.
pub struct NpySource {
    x: Vec<File>,
    y: Vec<File>,
    sample_weight: Vec<Option<File>>,
    spec: SourceSpec,
    order: RowOrder,
}

/// A mapped file and what its header says.
struct File {
    path: PathBuf,
    map: MappedFile,
    header: Header,
    /// The first byte of each element of row 0, from the first element on; rows of a file in C order
    /// are one piece.
    places: Option<Vec<usize>>,
}

impl NpySource {
    /// Opens the files that a run configuration names and checks their headers.
    ///
    /// # Errors
    /// As [`crate::read_npy`]; files of different numbers of rows, or of none; sample weights that
    /// are not given in the form of `y`; a batch size or a number of steps of 0.
    pub fn open(files: &Arrays, options: BatchOptions) -> Result<Self> {
        let weights = files.weight_paths()?;
        let y_paths = files.y.as_ref().map(Files::paths).unwrap_or_default();
        let open = |paths: &[&Path]| -> Result<Vec<File>> {
            paths.iter().map(|path| File::open(path)).collect()
        };
        let (x, y) = (open(&files.x.paths())?, open(&y_paths)?);
        let sample_weight: Vec<Option<File>> =
            weights.iter().map(|path| path.map(File::open).transpose()).collect::<Result<_>>()?;
        let rows = rows(x.iter().chain(&y).chain(sample_weight.iter().flatten()))?;
        let specs = |files: &[File]| files.iter().map(File::spec).collect();
        let spec = SourceSpec {
            x: specs(&x),
            y: specs(&y),
            sample_weight: sample_weight.iter().map(|w| w.as_ref().map(File::spec)).collect(),
        };
        let spec = spec.named(files.x.names(), files.y.as_ref().and_then(Files::names));
        Ok(Self { x, y, sample_weight, spec, order: RowOrder::new(rows, options)? })
    }
}

/// The number of rows that all files have.
fn rows<'a>(files: impl Iterator<Item = &'a File>) -> Result<usize> {
    let mut first: Option<(&Path, usize)> = None;
    for file in files {
        let rows = match file.header.shape.first() {
            Some(0) => return Err(Error::file(&file.path, "has no rows; at least one is needed")),
            Some(rows) => *rows,
            None => {
                let message =
                    "is a single number; the rows (samples) are the first axis of an array";
                return Err(Error::file(&file.path, message));
            }
        };
        match first {
            Some((other, wanted)) if wanted != rows => {
                return Err(Error::file(
                    &file.path,
                    format!(
                        "has {}, {} has {wanted}; give every array one row for each sample",
                        count(rows, "row"),
                        other.display()
                    ),
                ));
            }
            Some(_) => {}
            None => first = Some((&file.path, rows)),
        }
    }
    Ok(first.map_or(0, |(_, rows)| rows))
}

impl BatchSource for NpySource {
    fn spec(&self) -> &SourceSpec {
        &self.spec
    }

    fn steps(&self, epoch: usize) -> Option<usize> {
        Some(self.order.steps(epoch))
    }

    /// Of a file, its header and 64 pieces of it count: reading all of it would take as long as an
    /// epoch.
    fn rows(&self, epoch: usize, batch: usize) -> Option<Vec<usize>> {
        self.order.rows_of(epoch, batch)
    }

    fn fingerprint(&self) -> Result<Json> {
        let mut sum = Fingerprint::new();
        for (name, files) in [("x", &self.x), ("y", &self.y)] {
            sum.add(name);
            files.iter().try_for_each(|file| file.add_to(&mut sum))?;
        }
        for file in &self.sample_weight {
            sum.add("sample_weight");
            file.iter().try_for_each(|file| file.add_to(&mut sum))?;
        }
        Ok(self.order.fingerprint(sum))
    }

    fn batches(&self, epoch: usize, from_batch: usize) -> Result<Batches<'_>> {
        let batch = |rows: Rows| {
            let read = |files: &[File]| -> Result<Vec<Tensor>> {
                files.iter().map(|file| file.read(&rows)).collect()
            };
            let weight = |file: &Option<File>| file.as_ref().map(|f| f.read(&rows)).transpose();
            Ok(Batch {
                x: read(&self.x)?,
                y: read(&self.y)?,
                sample_weight: self.sample_weight.iter().map(weight).collect::<Result<_>>()?,
            })
        };
        Ok(Box::new(self.order.batches(epoch, from_batch)?.map(batch)))
    }
}

impl File {
    fn open(path: &Path) -> Result<Self> {
        let wrong = |message: String| Error::file(path, message);
        let unreadable = |e: std::io::Error| wrong(format!("cannot be read: {e}"));
        let (file, length) = open(path)?;
        let header = header::read(&mut BufReader::new(&file), length).map_err(wrong)?;
        let map = MappedFile::new(file).map_err(unreadable)?;
        if map.len() as u64 != length {
            return Err(wrong("has changed while it was opened".into()));
        }
        let places = (header.fortran && header.shape.len() > 1).then(|| fortran_places(&header));
        Ok(Self { path: path.to_path_buf(), map, header, places })
    }

    fn add_to(&self, sum: &mut Fingerprint) -> Result<()> {
        const PIECES: usize = 64;
        const LENGTH: usize = 4096;
        let bytes = self.map.len();
        sum.add(format!("{:?} {bytes}", self.spec()));
        let length = LENGTH.min(bytes);
        let apart = ((bytes - length) / PIECES).max(1);
        let mut piece = vec![0; length];
        for start in (0..=bytes - length).step_by(apart) {
            let read = self.map.read([start], length, &mut piece);
            read.map_err(|e| Error::file(&self.path, format!("cannot be read: {e}")))?;
            sum.add(&piece);
        }
        Ok(())
    }

    fn spec(&self) -> ArraySpec {
        let row = self.header.shape.get(1..).unwrap_or_default();
        ArraySpec::new(row, self.header.format.number.dtype())
    }

    /// The given rows.
    fn read(&self, rows: &Rows) -> Result<Tensor> {
        let (picked, range) = match rows {
            Rows::Range(range) => (None, range),
            Rows::Picked(_, range) => (rows.picked(), range),
        };
        let at = |i: usize| match picked {
            Some(picked) => picked.get(i).map_or(usize::MAX, |row| *row as usize),
            None => range.start + i,
        };
        let Header { format, shape, start, .. } = &self.header;
        let (count, size) = (range.len(), format.number.size());
        let mut dims = shape.clone();
        if let Some(first) = dims.first_mut() {
            *first = count;
        }
        let mut bytes = vec![0; dims.iter().product::<usize>() * size];
        let width = bytes.len() / count.max(1);
        let read = match (&self.places, picked) {
            (Some(places), _) => {
                let element = |i| places.iter().map(move |place| place + at(i) * size);
                self.map.read((0..count).flat_map(element), size, &mut bytes)
            }
            (None, Some(_)) => {
                let row = |i| start.saturating_add(at(i).saturating_mul(width));
                self.map.read((0..count).map(row), width, &mut bytes)
            }
            (None, None) => self.map.read([start + range.start * width], bytes.len(), &mut bytes),
        };
        read.map_err(|error| format!("cannot be read: {error}"))
            .and_then(|()| elements::read(&mut bytes.as_slice(), *format, &dims))
            .map_err(|message| Error::file(&self.path, message))
    }
}

/// Where the elements of row 0 of a file in Fortran order lie, in the C order of a row: the first
/// axis moves fastest, so that element (0, j, k) of shape [n, m, l] is number n (j + m k).
fn fortran_places(header: &Header) -> Vec<usize> {
    let Header { format, shape, start, .. } = header;
    let mut places = vec![0];
    let mut stride = shape.first().copied().unwrap_or(1);
    let mut strides = Vec::new();
    for axis in shape.iter().skip(1) {
        strides.push((*axis, stride));
        stride *= axis;
    }
    for (axis, stride) in strides {
        places =
            places.iter().flat_map(|place| (0..axis).map(move |i| place + i * stride)).collect();
    }
    places.into_iter().map(|place| start + place * format.number.size()).collect()
}
