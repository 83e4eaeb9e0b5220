//! Which rows make which batch: Keras's epochs over arrays, as a pure function of the epoch.

use sconce_core::{Error, Result};
use std::ops::Range;

/// The number of batches in `rows` rows, a partial last one included.
pub fn steps_per_epoch(rows: usize, batch_size: usize) -> usize {
    rows.div_ceil(batch_size.max(1))
}

/// The batches of a training run, as Keras's `EpochIterator` makes them.
///
/// An epoch is one pass over the rows, the partial last batch kept. With
/// [`BatchPlan::with_steps_per_epoch`] an epoch is that many batches and the next one goes on where
/// it ended; an epoch does not cross the end of a pass, so the one that reaches it may be shorter.
/// The rows are ordered anew for each pass ([`crate::shuffle`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPlan {
    rows: usize,
    batch_size: usize,
    steps: usize,
}

impl BatchPlan {
    /// A plan of one pass an epoch.
    ///
    /// # Errors
    /// No rows, or a batch size of 0.
    pub fn new(rows: usize, batch_size: usize) -> Result<Self> {
        crate::check::batch_size(batch_size)?;
        if rows == 0 {
            return Err(Error::data("the data has no rows; at least one is needed"));
        }
        Ok(Self { rows, batch_size, steps: steps_per_epoch(rows, batch_size) })
    }

    /// The same with epochs of (at most) `steps` batches.
    ///
    /// # Errors
    /// 0 steps.
    pub fn with_steps_per_epoch(mut self, steps: usize) -> Result<Self> {
        if steps == 0 {
            return Err(Error::data("steps_per_epoch is 0; it must be at least 1, or left out"));
        }
        self.steps = steps.min(self.steps_in_pass());
        Ok(self)
    }

    /// The number of batches in one pass over all rows.
    pub fn steps_in_pass(&self) -> usize {
        steps_per_epoch(self.rows, self.batch_size)
    }

    /// The pass (from 0) that an epoch (from 0) belongs to: the one whose row order it uses.
    pub fn pass(&self, epoch: usize) -> usize {
        epoch / self.epochs_in_pass()
    }

    /// The number of batches of an epoch (from 0).
    pub fn steps(&self, epoch: usize) -> usize {
        self.range(epoch).len()
    }

    /// The batches of an epoch (from 0), each a range of places in the pass's row order.
    pub fn batches(&self, epoch: usize) -> impl ExactSizeIterator<Item = Range<usize>> + use<> {
        let (rows, batch_size) = (self.rows, self.batch_size);
        self.range(epoch).map(move |i| i * batch_size..rows.min((i + 1) * batch_size))
    }

    fn epochs_in_pass(&self) -> usize {
        self.steps_in_pass().div_ceil(self.steps)
    }

    fn range(&self, epoch: usize) -> Range<usize> {
        let start = epoch % self.epochs_in_pass() * self.steps;
        start..self.steps_in_pass().min(start + self.steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_partial_batch_is_kept() {
        let plan = BatchPlan::new(10, 4).unwrap();
        for epoch in [0, 1, 7] {
            assert_eq!(plan.batches(epoch).collect::<Vec<_>>(), [0..4, 4..8, 8..10]);
            assert_eq!((plan.pass(epoch), plan.steps(epoch)), (epoch, 3));
        }
        assert_eq!(BatchPlan::new(3, usize::MAX).unwrap().batches(0).next(), Some(0..3));
    }

    /// Ten batches in epochs of four: 4, 4, 2, then the next pass, as in Keras.
    #[test]
    fn short_epochs_go_on_where_the_last_ended() {
        let plan = BatchPlan::new(10, 1).unwrap().with_steps_per_epoch(4).unwrap();
        let starts = |e| plan.batches(e).map(|b| b.start).collect::<Vec<_>>();
        assert_eq!(starts(0), [0, 1, 2, 3]);
        assert_eq!(starts(1), [4, 5, 6, 7]);
        assert_eq!(starts(2), [8, 9]);
        assert_eq!(starts(3), [0, 1, 2, 3]);
        assert_eq!((0..7).map(|e| plan.pass(e)).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1, 2]);
        let long = BatchPlan::new(10, 1).unwrap().with_steps_per_epoch(99).unwrap();
        assert_eq!(long.steps(5), 10);
    }

    #[test]
    fn zeros_are_refused() {
        assert!(BatchPlan::new(0, 1).unwrap_err().to_string().contains("no rows"));
        assert!(BatchPlan::new(1, 0).unwrap_err().to_string().contains("batch_size is 0"));
        let error = BatchPlan::new(1, 1).unwrap().with_steps_per_epoch(0).unwrap_err();
        assert!(error.to_string().contains("steps_per_epoch is 0"));
    }

    proptest! {
        #[test]
        fn a_pass_covers_every_row_once(
            rows in 1usize..500, batch in 1usize..600, steps in 1usize..20,
        ) {
            let plan = BatchPlan::new(rows, batch).unwrap().with_steps_per_epoch(steps).unwrap();
            let mut next = 0;
            for range in (0..).take_while(|e| plan.pass(*e) == 0).flat_map(|e| plan.batches(e)) {
                prop_assert_eq!(range.start, next);
                prop_assert!(range.len() == batch || range.end == rows);
                next = range.end;
            }
            prop_assert_eq!(next, rows);
        }
    }
}
