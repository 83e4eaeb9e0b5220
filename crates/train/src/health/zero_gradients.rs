//! Weights whose gradient is always 0.

use sconce_core::{DType, Gradients, Result, Store};

/// Updates to look at before a word is said: weights may start at 0 and hold back the gradients of
/// those before them for an update.
const FEW: u64 = 5;
/// Weights that a message lists.
const LISTED: usize = 8;

/// Which trainable weights have had no gradient but 0 since the model was compiled. Once each has had
/// another nothing is looked at any more, which is after the first update of a healthy model.
#[derive(Debug, Default)]
pub(crate) struct ZeroGradients {
    /// For each whether it was 0 so far; `None` before the first update.
    zero: Option<Vec<bool>>,
    looks: u64,
    done: bool,
}

impl ZeroGradients {
    /// Takes in the gradients of an update.
    pub fn look(&mut self, gradients: &Gradients) -> Result<()> {
        if self.done {
            return Ok(());
        }
        let zero = self.zero.get_or_insert_with(|| vec![true; gradients.0.len()]);
        for (zero, gradient) in zero.iter_mut().zip(&gradients.0) {
            *zero = match gradient {
                Some(gradient) if *zero && gradient.elem_count() > 0 => {
                    let largest = gradient.detach().abs()?.max_all()?;
                    largest.to_dtype(DType::F32)?.to_scalar::<f32>()? == 0.0
                }
                // One without a gradient leads to no loss, which is told of elsewhere.
                _ => false,
            };
        }
        self.looks += 1;
        self.done = !zero.contains(&true);
        Ok(())
    }

    /// After an epoch: a sentence, once. Units that are known to be dead explain it.
    pub fn notice(&mut self, store: &Store, has_dead_units: bool) -> Option<String> {
        if self.done || self.looks < FEW {
            return None;
        }
        self.done = true;
        let zero = self.zero.iter().flatten();
        let mut paths: Vec<&str> = store
            .trainable()
            .zip(zero)
            .filter(|(_, zero)| **zero)
            .map(|(weight, _)| weight.path.as_str())
            .collect();
        if paths.is_empty() || has_dead_units {
            return None;
        }
        let more = paths.len().saturating_sub(LISTED);
        paths.truncate(LISTED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!(
            "the gradient of these weights was 0 in all of the {} updates that were looked at, so that \
             they learn nothing: {}{more}. Inputs that are always 0, units after them that are dead or \
             saturated, and a loss weight of 0 do that; freeze them with `trainable(false)` if it is \
             meant",
            self.looks,
            paths.join(", ")
        ))
    }
}
