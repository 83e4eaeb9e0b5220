//! Which rows make which batch of a source whose rows can be picked.

use crate::batches::BatchPlan;
use crate::{Shuffle, check};
use sconce_core::{ConfigValue, Error, Fingerprint, Json, Result};
use serde_json::json;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// How rows become batches: Keras's arguments of `fit`. Defaults as in Keras: batches of 32 rows,
/// shuffled, an epoch of all rows; seed 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// Rows in a batch; the last batch of a pass over the rows may be smaller.
    pub batch_size: usize,
    /// Whether and how rows are shuffled before each pass.
    pub shuffle: Shuffle,
    /// The seed of the shuffling.
    pub seed: u64,
    /// Ends each epoch after so many batches; the next goes on where it ended ([`BatchPlan`]).
    pub steps_per_epoch: Option<usize>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self { batch_size: 32, shuffle: Shuffle::Rows, seed: 0, steps_per_epoch: None }
    }
}

/// The rows of one batch.
#[derive(Clone, Debug)]
pub(super) enum Rows {
    /// Neighbours.
    Range(Range<usize>),
    /// These places of an order of all rows.
    Picked(Arc<Vec<u32>>, Range<usize>),
}

impl Rows {
    /// The rows that are not neighbours.
    pub fn picked(&self) -> Option<&[u32]> {
        match self {
            Self::Range(_) => None,
            Self::Picked(order, range) => Some(order.get(range.clone()).unwrap_or_default()),
        }
    }
}

/// The batches of every epoch, as `fit` makes them: a function of epoch and batch.
#[derive(Debug)]
pub(super) struct RowOrder {
    rows: usize,
    options: BatchOptions,
    plan: BatchPlan,
    /// The order of the last pass asked for: with few steps an epoch, many epochs share a pass.
    last: Mutex<Option<(usize, Arc<Vec<u32>>)>>,
}

impl RowOrder {
    pub fn new(rows: usize, options: BatchOptions) -> Result<Self> {
        check::batch_size(options.batch_size)?;
        let mut plan = BatchPlan::new(rows, options.batch_size)?;
        if let Some(steps) = options.steps_per_epoch {
            plan = plan.with_steps_per_epoch(steps)?;
        }
        if options.shuffle != Shuffle::Off && u32::try_from(rows).is_err() {
            return Err(Error::data(format!(
                "{rows} rows cannot be shuffled; at most {} can",
                u32::MAX
            )));
        }
        Ok(Self { rows, options, plan, last: Mutex::new(None) })
    }

    /// What the batches depend on: the options, and the sum of the data.
    pub fn fingerprint(&self, data: Fingerprint) -> Json {
        let BatchOptions { batch_size, shuffle, seed, steps_per_epoch } = self.options;
        json!({
            "batch_size": batch_size,
            "shuffle": shuffle.to_json().unwrap_or_default(),
            "seed": seed,
            "steps_per_epoch": steps_per_epoch,
            "rows": self.rows,
            "sha256": data.finish(),
        })
    }

    pub fn steps(&self, epoch: usize) -> usize {
        self.plan.steps(epoch)
    }

    /// The rows of the batches of an epoch, without the first `from_batch`.
    pub fn batches(
        &self,
        epoch: usize,
        from_batch: usize,
    ) -> Result<impl Iterator<Item = Rows> + Send + use<>> {
        let order = match self.options.shuffle {
            Shuffle::Off => None,
            _ => Some(self.order(self.plan.pass(epoch))?),
        };
        Ok(self.plan.batches(epoch).skip(from_batch).map(move |range| match &order {
            Some(order) => Rows::Picked(order.clone(), range),
            None => Rows::Range(range),
        }))
    }

    /// The rows of one batch.
    pub fn rows_of(&self, epoch: usize, batch: usize) -> Option<Vec<usize>> {
        let rows = self.batches(epoch, batch).ok()?.next()?;
        Some(match &rows {
            Rows::Range(range) => range.clone().collect(),
            picked => picked.picked()?.iter().map(|row| *row as usize).collect(),
        })
    }

    fn order(&self, pass: usize) -> Result<Arc<Vec<u32>>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, order)) = &*last
            && *of == pass
        {
            return Ok(order.clone());
        }
        let BatchOptions { shuffle, seed, batch_size, .. } = self.options;
        let order = shuffle.order(seed, pass as u64, self.rows, batch_size)?.unwrap_or_default();
        let order = Arc::new(order);
        *last = Some((pass, order.clone()));
        Ok(order)
    }
}
