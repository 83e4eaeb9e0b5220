//! Where the batches of a run come from: arrays, files larger than memory, closures.
//!
//! Separation of concerns: a source knows its data and its order of rows; [`SourceSpec`] says what
//! batches look like and checks them; [`Prefetch`] prepares batches on a thread of their own; the loop
//! that trains only asks for the batches of an epoch.

mod arrays;
mod csv;
mod from_fn;
mod npy;
mod order;
mod prefetch;
mod spec;
#[cfg(test)]
mod tests;

pub use arrays::ArraySource;
pub use csv::{CsvOptions, CsvSource};
pub use from_fn::{FnSource, from_fn};
pub use npy::NpySource;
pub use order::BatchOptions;
pub use prefetch::Prefetch;
pub use spec::{ArraySpec, Batch, SourceSpec};

use crate::messages::{at, count};
use sconce_core::{Error, Json, Result};
use std::sync::Arc;

/// The batches of one epoch, in order.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<Batch>> + Send + 'a>;

/// A source of batches: what `fit` trains on, validates with or predicts from.
///
/// Batches should be a function of the epoch and the number of the batch alone. A run that was
/// interrupted then goes on with the batches it would have had.
pub trait BatchSource: Send + Sync {
    /// What every batch looks like.
    fn spec(&self) -> &SourceSpec;

    /// The number of batches in an epoch (from 0); `None` if only its end tells.
    fn steps(&self, epoch: usize) -> Option<usize>;

    /// The batches of an epoch (from 0), without the first `from_batch`.
    ///
    /// This is what a source implements; loops call [`BatchSource::checked_batches`].
    ///
    /// # Errors
    /// A source that cannot be read. What goes wrong later is an item of the iterator.
    fn batches(&self, epoch: usize, from_batch: usize) -> Result<Batches<'_>>;

    /// Where the rows of a batch are in the data, from 0, for messages; default: nothing is known.
    fn rows(&self, _epoch: usize, _batch: usize) -> Option<Vec<usize>> {
        None
    }

    /// What its batches depend on, so that a run that goes on can tell whether they are the same:
    /// options, and a [`Fingerprint`](sconce_core::Fingerprint) of the data. Default: `null`, nothing
    /// is known.
    ///
    /// # Errors
    /// A source that cannot be read.
    fn fingerprint(&self) -> Result<Json> {
        Ok(Json::Null)
    }

    /// As [`BatchSource::batches`], each batch compared with [`BatchSource::spec`], at most
    /// [`BatchSource::steps`] of them, and nothing after the first error. Errors start with their
    /// place: "batch 12 of epoch 3", both counted from 1.
    ///
    /// # Errors
    /// As [`BatchSource::batches`]. Among the items: a batch that does not fit the specification, a
    /// source that ends before its last step, an epoch without batches.
    fn checked_batches(&self, epoch: usize, from_batch: usize) -> Result<Batches<'_>> {
        Ok(Box::new(Checked {
            batches: self
                .batches(epoch, from_batch)
                .map_err(|error| at(error, &format!("epoch {}", epoch + 1)))?,
            spec: self.spec(),
            steps: self.steps(epoch),
            epoch,
            next: from_batch,
            ended: false,
        }))
    }
}

/// The name of a batch in messages.
fn place(epoch: usize, batch: usize) -> String {
    format!("batch {} of epoch {}", batch + 1, epoch + 1)
}

struct Checked<'a> {
    batches: Batches<'a>,
    spec: &'a SourceSpec,
    steps: Option<usize>,
    epoch: usize,
    /// The number of the next batch, from 0.
    next: usize,
    ended: bool,
}

impl Checked<'_> {
    /// The error of an end at this batch, if it is one.
    fn end(&self) -> Option<Error> {
        let epoch = self.epoch + 1;
        match self.steps {
            _ if self.next == 0 => Some(Error::data(format!(
                "epoch {epoch}: the source gave no batches; at least one is needed"
            ))),
            Some(steps) if self.next < steps => Some(Error::data(format!(
                "epoch {epoch}: the source ended after {} of {steps}; give it as many as it states, \
                 or leave their number unknown",
                count(self.next, "batch")
            ))),
            _ => None,
        }
    }
}

impl Iterator for Checked<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        if self.ended {
            return None;
        }
        let complete = self.next > 0 && self.steps.is_some_and(|steps| self.next >= steps);
        let batch = if complete { None } else { self.batches.next() };
        let Some(batch) = batch else {
            self.ended = true;
            return self.end().map(Err);
        };
        let batch = batch
            .and_then(|batch| self.spec.check(&batch).map(|()| batch))
            .map_err(|error| at(error, &place(self.epoch, self.next)));
        self.next += 1;
        self.ended = batch.is_err();
        Some(batch)
    }
}

macro_rules! forwarded {
    ($($pointer:ident),*) => {$(
        impl<S: BatchSource + ?Sized> BatchSource for $pointer<S> {
            fn spec(&self) -> &SourceSpec {
                (**self).spec()
            }

            fn steps(&self, epoch: usize) -> Option<usize> {
                (**self).steps(epoch)
            }

            fn batches(&self, epoch: usize, from_batch: usize) -> Result<Batches<'_>> {
                (**self).batches(epoch, from_batch)
            }

            fn rows(&self, epoch: usize, batch: usize) -> Option<Vec<usize>> {
                (**self).rows(epoch, batch)
            }

            fn fingerprint(&self) -> Result<Json> {
                (**self).fingerprint()
            }

            fn checked_batches(&self, epoch: usize, from_batch: usize) -> Result<Batches<'_>> {
                (**self).checked_batches(epoch, from_batch)
            }
        }
    )*};
}
forwarded!(Box, Arc);
