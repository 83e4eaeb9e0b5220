//! Whether gradients explode.

use crate::optimizers::{OptimizerState, gradient_norm};
use sconce_core::{Gradients, Result};

/// The first updates, whose norms are those that later ones are compared with.
const FIRST: u64 = 10;
/// After those, one update of so many is looked at.
const EVERY: u64 = 32;
/// Gradients this many times larger than the largest of the first updates are said to explode.
const TIMES: f64 = 100.0;

/// The norm of all gradients of a model, from time to time.
#[derive(Debug, Default)]
pub(crate) struct GradientNorm {
    updates: u64,
    largest_of_first: f64,
    told: bool,
}

impl GradientNorm {
    /// Looks at the gradients of an update, if it is its turn; a sentence if they explode, once. With
    /// clipping they cannot.
    pub fn look(
        &mut self,
        gradients: &Gradients,
        loss_scale: Option<f64>,
        optimizer: &OptimizerState,
    ) -> Result<Option<String>> {
        let update = self.updates;
        self.updates += 1;
        if self.told || (update >= FIRST && !update.is_multiple_of(EVERY)) || optimizer.clips() {
            return Ok(None);
        }
        let norm = gradient_norm(gradients)? / loss_scale.unwrap_or(1.0);
        if update < FIRST {
            self.largest_of_first = self.largest_of_first.max(norm);
            return Ok(None);
        }
        // Whoever starts at 0 may grow to anything.
        self.told = self.largest_of_first > 0.0 && norm > self.largest_of_first * TIMES;
        let times = norm / self.largest_of_first;
        Ok(self.told.then(|| {
            format!(
                "the gradients explode: their norm is {norm:.3e} at update {}, {times:.0} times the \
                 largest of the first {FIRST} updates. Try a smaller learning rate, or clipnorm or \
                 global_clipnorm",
                update + 1
            )
        }))
    }
}
