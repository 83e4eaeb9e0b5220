//! Batches prepared ahead, while the batch before is computed with.

use super::{Batch, BatchSource, Batches, SourceSpec, place};
use sconce_core::{Error, Json, Result};
use std::any::Any;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Prepares the batches of another source on a thread, up to a number of them ahead, in their order.
///
/// The thread starts with an epoch's iterator and ends with it: when the iterator is dropped, the
/// thread finishes the batch it is at, and the drop waits for that. What the source returns as an
/// error, or panics with, is an item of the iterator, with its place.
pub struct Prefetch<S: ?Sized> {
    source: Arc<S>,
    ahead: usize,
}

impl<S: BatchSource + 'static> Prefetch<S> {
    /// Prepares up to `ahead` batches (at least 1) of a source.
    pub fn new(source: S, ahead: usize) -> Self {
        Self { source: Arc::new(source), ahead: ahead.max(1) }
    }
}

impl<S: BatchSource + ?Sized + 'static> BatchSource for Prefetch<S> {
    fn spec(&self) -> &SourceSpec {
        self.source.spec()
    }

    fn steps(&self, epoch: usize) -> Option<usize> {
        self.source.steps(epoch)
    }

    fn rows(&self, epoch: usize, batch: usize) -> Option<Vec<usize>> {
        self.source.rows(epoch, batch)
    }

    fn fingerprint(&self) -> Result<Json> {
        self.source.fingerprint()
    }

    fn batches(&self, epoch: usize, from_batch: usize) -> Result<Batches<'_>> {
        // One more is ready in the thread, waiting for its place in the channel.
        let (sender, receiver) = sync_channel(self.ahead - 1);
        let source = self.source.clone();
        let run = move || match source.checked_batches(epoch, from_batch) {
            Ok(batches) => {
                for batch in batches {
                    // Nobody receives any more: the iteration was given up.
                    if sender.send(batch).is_err() {
                        break;
                    }
                }
            }
            Err(error) => drop(sender.send(Err(error))),
        };
        let thread = Builder::new().name("sconce-prefetch".into()).spawn(run).map_err(|error| {
            Error::data(format!("no thread to prepare batches can be started: {error}"))
        })?;
        let (receiver, thread) = (Some(receiver), Some(thread));
        Ok(Box::new(Prefetched { receiver, thread, epoch, next: from_batch }))
    }

    /// The thread checks the batches, so that the one that computes does not have to.
    fn checked_batches(&self, epoch: usize, from_batch: usize) -> Result<Batches<'_>> {
        self.batches(epoch, from_batch)
    }
}

/// The receiving end of an epoch.
struct Prefetched {
    receiver: Option<Receiver<Result<Batch>>>,
    thread: Option<JoinHandle<()>>,
    epoch: usize,
    /// The number of the next batch, from 0.
    next: usize,
}

impl Iterator for Prefetched {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        if let Ok(batch) = self.receiver.as_ref()?.recv() {
            self.next += 1;
            return Some(batch);
        }
        self.receiver = None;
        let payload = self.thread.take()?.join().err()?;
        Some(Err(Error::data(format!(
            "{}: the source panicked: {}",
            place(self.epoch, self.next),
            message(&*payload)
        ))))
    }
}

impl Drop for Prefetched {
    fn drop(&mut self) {
        // Closed first: a thread that waits to send then ends.
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            // A panic after the last batch that was wanted is nobody's concern.
            let _ = thread.join();
        }
    }
}

/// What a panic says.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
