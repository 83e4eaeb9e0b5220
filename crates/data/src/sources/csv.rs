//! CSV files larger than memory.

use super::{ArraySpec, Batch, BatchSource, Batches, SourceSpec};
use crate::check;
use crate::csv_file::rows::{Rows, scan};
use crate::csv_file::{CsvColumns, CsvTarget};
use crate::messages::open;
use sconce_core::{DType, Error, Fingerprint, Json, Result, Stream, Tensor};
use sconce_kernels::gather_rows;
use serde_json::json;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// How the rows of a CSV file become batches. Default: batches of 32 rows in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// Rows in a batch; the last one may be smaller.
    pub batch_size: usize,
    /// Shuffles the rows within blocks of so many neighbours, rounded up to whole batches, which are
    /// then in memory at once; 0 keeps the order of the file. Each epoch has another order.
    pub shuffle_buffer: usize,
    /// The seed of the shuffling.
    pub seed: u64,
    /// What the target holds, if that is known: the file is then not read through beforehand, and
    /// the number of batches is unknown until an epoch ends.
    pub target: Option<CsvTarget>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { batch_size: 32, shuffle_buffer: 0, seed: 0, target: None }
    }
}

/// A CSV file as [`crate::read_csv`] reads it, of which only the rows of a batch, or of a block that
/// is shuffled, are in memory. An epoch is one pass over the file.
#[derive(Debug)]
pub struct CsvSource {
    path: PathBuf,
    columns: CsvColumns,
    options: CsvOptions,
    target: CsvTarget,
    /// The number of rows, if the file was read through.
    rows: Option<usize>,
    feature_names: Vec<String>,
    spec: SourceSpec,
}

impl CsvSource {
    /// Reads the header and, unless the target is known, the whole file once, for the target's type
    /// and classes and the number of rows.
    ///
    /// # Errors
    /// As [`crate::read_csv`]; a batch size of 0.
    pub fn open(path: impl AsRef<Path>, columns: &CsvColumns, options: CsvOptions) -> Result<Self> {
        check::batch_size(options.batch_size)?;
        let path = path.as_ref();
        let wrong = |message: String| Error::file(path, message);
        let (target, rows) = match &options.target {
            Some(target) => (target.clone(), None),
            None => {
                let scan = scan(reader(path)?, columns).map_err(wrong)?;
                (scan.target, Some(scan.rows))
            }
        };
        let opened = Rows::open(reader(path)?, columns, &target).map_err(wrong)?;
        let feature_names = opened.feature_names();
        let y = if target == CsvTarget::Floats { DType::F32 } else { DType::I64 };
        let spec = SourceSpec {
            x: vec![ArraySpec::new(&[feature_names.len()], DType::F32)],
            y: vec![ArraySpec::new(&[], y)],
            sample_weight: Vec::new(),
        };
        let (path, columns) = (path.to_path_buf(), columns.clone());
        Ok(Self { path, columns, options, target, rows, feature_names, spec })
    }

    /// What the numbers of a target of text stand for.
    pub fn class_names(&self) -> Option<&[String]> {
        match &self.target {
            CsvTarget::Classes(names) => Some(names),
            _ => None,
        }
    }

    /// The names of the columns of x.
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }
}

fn reader(path: &Path) -> Result<BufReader<File>> {
    Ok(BufReader::with_capacity(1 << 16, open(path)?.0))
}

impl BatchSource for CsvSource {
    fn spec(&self) -> &SourceSpec {
        &self.spec
    }

    fn steps(&self, _: usize) -> Option<usize> {
        self.rows.map(|rows| rows.div_ceil(self.options.batch_size))
    }

    fn fingerprint(&self) -> Result<Json> {
        let mut sum = Fingerprint::new();
        sum.add(format!("{:?} {:?}", self.columns, self.target));
        let copied = std::io::copy(&mut reader(&self.path)?, &mut sum);
        copied.map_err(|e| Error::file(&self.path, format!("cannot be read: {e}")))?;
        let CsvOptions { batch_size, shuffle_buffer, seed, .. } = self.options;
        Ok(json!({
            "batch_size": batch_size,
            "shuffle_buffer": shuffle_buffer,
            "seed": seed,
            "sha256": sum.finish(),
        }))
    }

    fn batches(&self, epoch: usize, from_batch: usize) -> Result<Batches<'_>> {
        let CsvOptions { batch_size, shuffle_buffer, .. } = self.options;
        let wrong = |message: String| Error::file(&self.path, message);
        let mut rows =
            Rows::open(reader(&self.path)?, &self.columns, &self.target).map_err(wrong)?;
        let batches = shuffle_buffer.div_ceil(batch_size).max(1);
        let block = batches.saturating_mul(batch_size);
        // Whole blocks are skipped unread, batches of the first block after it is shuffled.
        let first = from_batch / batches;
        rows.skip(first.saturating_mul(block)).map_err(wrong)?;
        let blocks = Blocks { source: self, rows, epoch, block, next: first, failed: false };
        let within = from_batch - first * batches;
        let cut = move |block: Result<Block>| -> Box<dyn Iterator<Item = Result<Batch>> + Send> {
            match block {
                Ok(block) => Box::new(block.batches(batch_size)),
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        };
        Ok(Box::new(blocks.flat_map(cut).skip(within)))
    }
}

/// The blocks of a pass over the file.
struct Blocks<'a> {
    source: &'a CsvSource,
    rows: Rows<BufReader<File>>,
    epoch: usize,
    block: usize,
    /// The number of the next block, from 0.
    next: usize,
    failed: bool,
}

impl Blocks<'_> {
    fn read(&mut self) -> Result<Option<Block>> {
        let CsvSource { path, options, .. } = self.source;
        let read = self.rows.read(self.block).map_err(|message| Error::file(path, message))?;
        let Some((x, y)) = read else { return Ok(None) };
        let order = (options.shuffle_buffer > 0).then(|| {
            let mut order: Vec<u32> =
                (0..x.dims().first().map_or(0, |rows| *rows as u32)).collect();
            let name = format!("csv/{}/{}", self.epoch, self.next);
            Stream::named(options.seed, &name).shuffle(&mut order);
            order
        });
        self.next += 1;
        Ok(Some(Block { x, y, order }))
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Result<Block>> {
        if self.failed {
            return None;
        }
        let block = self.read();
        self.failed = block.is_err();
        block.transpose()
    }
}

/// Rows in memory, and their order if it is not that of the file.
struct Block {
    x: Tensor,
    y: Tensor,
    order: Option<Vec<u32>>,
}

impl Block {
    fn batches(self, batch_size: usize) -> impl Iterator<Item = Result<Batch>> + Send {
        let rows = self.x.dims().first().copied().unwrap_or(0);
        (0..rows.div_ceil(batch_size)).map(move |batch| {
            let range = batch * batch_size..rows.min((batch + 1) * batch_size);
            let part = |array: &Tensor| match &self.order {
                Some(order) => gather_rows(array, order.get(range.clone()).unwrap_or_default()),
                None => array.narrow(0, range.start, range.len()),
            };
            Ok(Batch { x: vec![part(&self.x)?], y: vec![part(&self.y)?], sample_weight: vec![] })
        })
    }
}
