//! Arrays in memory.

use super::order::{RowOrder, Rows};
use super::{ArraySpec, Batch, BatchOptions, BatchSource, Batches, SourceSpec};
use crate::check;
use crate::datasets::Dataset;
use sconce_core::{Error, Fingerprint, Json, Result, Tensor};
use sconce_kernels::gather_rows;
use std::io::{BufWriter, Write};

/// Arrays in memory, in the order in which `fit` takes the rows of arrays.
pub struct ArraySource {
    all: Batch,
    spec: SourceSpec,
    order: RowOrder,
}

impl ArraySource {
    /// The rows of a data set, all arrays of which have the same number.
    ///
    /// # Errors
    /// No inputs, no rows, arrays of different lengths, a batch size or a number of steps of 0;
    /// sample weights that are not one (or none) for each array of targets.
    pub fn new(data: Dataset, options: BatchOptions) -> Result<Self> {
        let Dataset { x, x_names, y, y_names, sample_weight, .. } = data;
        if !sample_weight.is_empty() && sample_weight.len() != y.len() {
            return Err(Error::data(format!(
                "sample_weight has {} arrays, y has {}; give one, or none, for each",
                sample_weight.len(),
                y.len()
            )));
        }
        let named = x.iter().map(|a| ("x", a)).chain(y.iter().map(|a| ("y", a)));
        let named = named.chain(sample_weight.iter().flatten().map(|a| ("sample_weight", a)));
        let rows = check::rows(named)?;
        let spec = SourceSpec {
            x: x.iter().map(ArraySpec::of).collect(),
            y: y.iter().map(ArraySpec::of).collect(),
            sample_weight: sample_weight
                .iter()
                .map(|weight| weight.as_ref().map(ArraySpec::of))
                .collect(),
        };
        // Rows of an array that is not contiguous would be gathered from a new copy for each batch.
        let all = Batch { x, y, sample_weight }.map(|array| array.contiguous())?;
        let order = RowOrder::new(rows, options)?;
        Ok(Self { all, spec: spec.named(x_names, y_names), order })
    }
}

impl BatchSource for ArraySource {
    fn spec(&self) -> &SourceSpec {
        &self.spec
    }

    fn steps(&self, epoch: usize) -> Option<usize> {
        Some(self.order.steps(epoch))
    }

    fn rows(&self, epoch: usize, batch: usize) -> Option<Vec<usize>> {
        self.order.rows_of(epoch, batch)
    }

    fn fingerprint(&self) -> Result<Json> {
        let mut sum = Fingerprint::new();
        let Batch { x, y, sample_weight } = &self.all;
        for (name, arrays) in [("x", x), ("y", y)] {
            sum.add(name);
            arrays.iter().try_for_each(|array| add_array(&mut sum, array))?;
        }
        for weight in sample_weight {
            sum.add("sample_weight");
            weight.iter().try_for_each(|array| add_array(&mut sum, array))?;
        }
        Ok(self.order.fingerprint(sum))
    }

    fn batches(&self, epoch: usize, from_batch: usize) -> Result<Batches<'_>> {
        let batch = |rows: Rows| match &rows {
            Rows::Range(range) => self.all.map(|a| a.narrow(0, range.start, range.len())),
            picked => self.all.map(|a| gather_rows(a, picked.picked().unwrap_or_default())),
        };
        Ok(Box::new(self.order.batches(epoch, from_batch)?.map(batch)))
    }
}

/// Adds type, shape and values, some rows at a time.
fn add_array(sum: &mut Fingerprint, array: &Tensor) -> Result<()> {
    sum.add(format!("{:?} {:?}", array.dtype(), array.dims()));
    let rows = array.dims().first().copied().unwrap_or_default();
    let width = (array.elem_count() / rows.max(1)).max(1);
    let at_once = ((1 << 18) / width).max(1);
    let mut buffered = BufWriter::with_capacity(1 << 16, sum);
    let mut from = 0;
    while from < rows {
        let part = array.narrow(0, from, at_once.min(rows - from))?;
        part.write_bytes(&mut buffered)?;
        from += at_once;
    }
    buffered.flush().map_err(|e| Error::data(e.to_string()))
}
