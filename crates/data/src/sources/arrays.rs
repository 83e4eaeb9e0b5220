//! Arrays in memory.

use super::order::{RowOrder, Rows};
use super::{ArraySpec, Batch, BatchOptions, BatchSource, Batches, SourceSpec};
use crate::check;
use crate::datasets::Dataset;
use sconce_core::{Error, Result};
use sconce_kernels::gather_rows;

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

    fn batches(&self, epoch: usize, from_batch: usize) -> Result<Batches<'_>> {
        let batch = |rows: Rows| match &rows {
            Rows::Range(range) => self.all.map(|a| a.narrow(0, range.start, range.len())),
            picked => self.all.map(|a| gather_rows(a, picked.picked().unwrap_or_default())),
        };
        Ok(Box::new(self.order.batches(epoch, from_batch)?.map(batch)))
    }
}
