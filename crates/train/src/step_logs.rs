//! The logged values of a training step of the user's own.

use crate::callbacks::Logged;
use crate::history::Logs;
use crate::metrics::Mean;
use crate::train_step::TrainStep;
use sconce_core::{Error, Result, Tensor};

/// A mean over samples for each name.
pub(crate) struct StepLogs {
    values: Vec<(&'static str, Mean)>,
}

impl StepLogs {
    pub(crate) fn new(step: &dyn TrainStep) -> Self {
        Self {
            values: step.logged().into_iter().map(|(name, _)| (name, Mean::default())).collect(),
        }
    }

    /// The names that the step logs.
    pub(crate) fn logged(step: &dyn TrainStep) -> Logged {
        Logged(step.logged().into_iter().map(|(name, goal)| (name.to_string(), goal)).collect())
    }

    pub(crate) fn reset(&mut self) {
        self.values.iter_mut().for_each(|(_, mean)| mean.reset());
    }

    /// Adds the values of a batch of so many rows.
    pub(crate) fn add(&mut self, values: &[Tensor], rows: usize) -> Result<()> {
        if values.len() != self.values.len() {
            let names: Vec<&str> = self.values.iter().map(|(name, _)| *name).collect();
            return Err(Error::training(format!(
                "the training step returned {} values, it logs {} ({})",
                values.len(),
                names.len(),
                names.join(", ")
            )));
        }
        for ((_, mean), value) in self.values.iter_mut().zip(values) {
            mean.add(value, rows as f64)?;
        }
        Ok(())
    }

    /// What has been accumulated, name by name.
    pub(crate) fn states(&self) -> Result<Vec<Vec<Tensor>>> {
        self.values.iter().map(|(_, mean)| mean.state()).collect()
    }

    /// Takes back what [`StepLogs::states`] gave.
    pub(crate) fn restore(&mut self, states: &[Vec<Tensor>]) -> Result<()> {
        self.values.iter_mut().zip(states).try_for_each(|((_, mean), state)| mean.restore(state))
    }

    pub(crate) fn result(&self) -> Result<Logs> {
        let value = |(name, mean): &(&str, Mean)| Ok((name.to_string(), mean.result()?));
        self.values.iter().map(value).collect::<Result<_>>().map(Logs)
    }
}
