//! Sets the learning rate of each epoch by a function.

use super::{
    Callback, Event, Flow, Run, learning_rate_log, notice, of_optimizer, optimizer_of, python_float,
};
use crate::history::Logs;
use crate::model::Model;
use sconce_core::Result;

/// Sets the learning rate before each epoch to what a function makes of the epoch (from 0) and the
/// rate so far (Keras's `LearningRateScheduler`). The logs of each epoch have its `learning_rate`. Of a
/// `MultiOptimizer` each rate is set by itself, and logged as `learning_rate_{name}`.
/// Only for programs: a run configuration holds no code, and has schedules of the optimizer instead.
///
/// ```
/// use sconce_train::callbacks::LearningRateScheduler;
///
/// let halved = LearningRateScheduler::new(|epoch, rate| if epoch < 10 { rate } else { rate / 2.0 });
/// ```
pub struct LearningRateScheduler {
    schedule: Box<dyn FnMut(usize, f64) -> f64 + Send>,
    verbose: bool,
}

impl LearningRateScheduler {
    /// With a function of the epoch and the rate.
    pub fn new(schedule: impl FnMut(usize, f64) -> f64 + Send + 'static) -> Self {
        Self { schedule: Box::new(schedule), verbose: false }
    }

    /// Whether each rate is said on stderr.
    pub fn verbose(mut self, verbose: bool) -> Self {
        self.verbose = verbose;
        self
    }
}

impl Callback for LearningRateScheduler {
    fn name(&self) -> &'static str {
        "LearningRateScheduler"
    }

    fn prepare(&mut self, run: &Run<'_>) -> Result<()> {
        // A rate that cannot be set is refused before the first step.
        optimizer_of(run.model)?.check_learning_rate_can_be_set()
    }

    fn logs(&self, model: &Model) -> Result<Logs> {
        learning_rate_log(model)
    }

    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow> {
        if let Event::EpochBegin { epoch } = event {
            for (name, optimizer) in run.model.compiled_mut()?.optimizer()?.by_learning_rate() {
                let rate = (self.schedule)(*epoch, optimizer.learning_rate());
                optimizer.set_learning_rate(rate)?;
                if self.verbose {
                    notice(&format!(
                        "Epoch {}: LearningRateScheduler setting{} learning rate to {}.",
                        epoch + 1,
                        of_optimizer(&name),
                        python_float::repr(rate)
                    ));
                }
            }
        }
        Ok(Flow::Continue)
    }
}
