//! The loop of a run: epochs, batches, validation, and what callbacks are notified of.

use crate::callbacks::{Callback, End, Event, Flow, Logged, Progress, Run, Verbose, warn};
use crate::evaluate::evaluate_source;
use crate::fit::Fit;
use crate::history::{History, Logs};
use crate::model::Model;
use crate::prepare::batch_for;
use crate::step;
use crate::step_logs::StepLogs;
use crate::train_step::{StepInput, TrainStep};
use sconce_core::{Error, Result};
use sconce_data::{Batch, BatchSource};

/// A run at work.
struct Training<'a> {
    model: &'a mut Model,
    source: &'a dyn BatchSource,
    validation: Option<&'a dyn BatchSource>,
    fit: Fit,
    callbacks: Vec<Box<dyn Callback>>,
    logged: Logged,
    history: &'a mut History,
    own_step: Option<Box<dyn TrainStep>>,
    /// Batches trained on so far.
    step: u64,
    /// How many batches the last epoch had, for sources that do not know beforehand.
    counted: Option<usize>,
}

/// Trains a model on the batches of a source; `history` takes in every whole epoch. However the epochs
/// end, every callback is notified of the end, and of several errors the first is returned.
pub(crate) fn train(
    model: &mut Model,
    source: &dyn BatchSource,
    validation: Option<&dyn BatchSource>,
    fit: Fit,
    history: &mut History,
) -> Result<()> {
    let mut training = Training::new(model, source, validation, fit, history)?;
    let prepared = training.prepare();
    let run = prepared.and_then(|()| {
        let run = training.epochs();
        let end = match &run {
            Ok(end) => end.clone(),
            Err(error) => End::Failed(error.to_string()),
        };
        let ended = training.end(end);
        run.and(ended)
    });
    training.model.step_logs = None;
    run
}

impl<'a> Training<'a> {
    fn new(
        model: &'a mut Model,
        source: &'a dyn BatchSource,
        validation: Option<&'a dyn BatchSource>,
        mut fit: Fit,
        history: &'a mut History,
    ) -> Result<Self> {
        let own_step = fit.train_step.take();
        let logged = match &own_step {
            Some(step) => StepLogs::logged(step.as_ref()),
            None => model.compiled()?.logged(),
        };
        model.step_logs = own_step.as_deref().map(StepLogs::new);
        let logged = if validation.is_some() { logged.with_validation() } else { logged };
        let callbacks = std::mem::take(&mut fit.callbacks);
        *history = History::of(&logged);
        Ok(Self {
            model,
            source,
            validation,
            fit,
            callbacks,
            logged,
            history,
            own_step,
            step: 0,
            counted: None,
        })
    }

    /// Batches in an epoch, if they are known.
    fn steps(&self, epoch: usize) -> Option<usize> {
        self.source.steps(epoch).or(self.counted)
    }

    /// Lets every callback check that it can work, and shows progress before all others.
    fn prepare(&mut self) -> Result<()> {
        let steps = self.steps(self.fit.initial_epoch);
        let run = Run { model: self.model, epochs: self.fit.epochs, steps, logged: &self.logged };
        for (index, callback) in self.callbacks.iter_mut().enumerate() {
            callback.prepare(&run).map_err(|e| e.under(&format!("callbacks[{index}].config")))?;
        }
        if self.fit.verbose != Verbose::Silent {
            self.callbacks.insert(0, Box::new(Progress::new(self.fit.verbose)));
        }
        Ok(())
    }

    #[inline]
    fn notify(&mut self, event: &Event, steps: Option<usize>) -> Result<Flow> {
        let mut run =
            Run { model: self.model, epochs: self.fit.epochs, steps, logged: &self.logged };
        let mut flow = Flow::Continue;
        for callback in &mut self.callbacks {
            if let stop @ Flow::Stop(_) = callback.on(event, &mut run)? {
                flow = stop;
            }
        }
        Ok(flow)
    }

    fn epochs(&mut self) -> Result<End> {
        let mut epoch = self.fit.initial_epoch;
        let mut flow = self.notify(&Event::TrainBegin, self.steps(epoch))?;
        while epoch < self.fit.epochs {
            if let Flow::Stop(reason) = flow {
                return Ok(End::Stopped(reason));
            }
            if self.fit.cancel.is_cancelled() {
                return Ok(End::Cancelled);
            }
            flow = self.epoch(epoch)?;
            epoch += 1;
        }
        Ok(match flow {
            Flow::Stop(reason) => End::Stopped(reason),
            Flow::Continue if self.fit.cancel.is_cancelled() => End::Cancelled,
            Flow::Continue => End::Finished,
        })
    }

    /// One epoch. Cancelled within, it ends without validation and is no part of the history.
    fn epoch(&mut self, epoch: usize) -> Result<Flow> {
        let steps = self.steps(epoch);
        let mut flow = self.notify(&Event::EpochBegin { epoch }, steps)?;
        let mut join = |more: Flow| {
            if more != Flow::Continue {
                flow = more;
            }
            flow != Flow::Continue
        };
        self.reset_logs()?;
        let source = self.source;
        let mut batches = source.checked_batches(epoch, 0)?;
        let mut batch = 0;
        loop {
            let Some(data) = batches.next() else { break };
            self.notify(&Event::BatchBegin { batch }, steps).map(&mut join)?;
            self.train_on(&data?)?;
            let stop = self.notify(&Event::BatchEnd { batch }, steps).map(&mut join)?;
            batch += 1;
            if self.fit.cancel.is_cancelled() {
                return Ok(flow);
            }
            if stop || steps == Some(batch) {
                break;
            }
        }
        self.counted = Some(batch);
        let mut logs = self.model.logs()?;
        if logs.0.first().is_some_and(|(_, loss)| !loss.is_finite()) {
            let name = logs.names().first().copied().unwrap_or("loss").to_string();
            return Err(Error::training(format!(
                "the {name} of epoch {} is not finite",
                epoch + 1
            )));
        }
        if self.own_step.is_none() {
            self.model.check_finite_weights(&format!("after epoch {}", epoch + 1))?;
        }
        for (name, value) in self.validate(epoch, steps, &mut join)?.0 {
            logs.0.push((format!("val_{name}"), value));
        }
        // By now it is known how many batches the epoch had.
        let steps = steps.or(self.counted);
        self.history.push(epoch, &logs);
        self.notify(&Event::EpochEnd { epoch, logs }, steps).map(&mut join)?;
        Ok(flow)
    }

    /// Loss and metrics on the validation data, if it is this epoch's turn.
    fn validate(
        &mut self,
        epoch: usize,
        steps: Option<usize>,
        join: &mut impl FnMut(Flow) -> bool,
    ) -> Result<Logs> {
        let Some(validation) = self.validation else { return Ok(Logs::default()) };
        if !(epoch + 1).is_multiple_of(self.fit.validation_freq) {
            return Ok(Logs::default());
        }
        self.notify(&Event::TestBegin, steps).map(&mut *join)?;
        let logs = match &mut self.own_step {
            None => evaluate_source(self.model, validation)?,
            Some(_) => self.test_own_step(validation)?,
        };
        if logs.get("loss").is_some_and(|loss| !loss.is_finite()) {
            // As in Keras the run goes on: the training loss may be as it should be.
            warn(&format!(
                "the validation loss of epoch {} is not finite ({}); check the validation data",
                epoch + 1,
                logs.get("loss").unwrap_or(f64::NAN)
            ));
        }
        self.notify(&Event::TestEnd { logs: logs.clone() }, steps).map(join)?;
        Ok(logs)
    }

    fn reset_logs(&mut self) -> Result<()> {
        match &mut self.model.step_logs {
            Some(logs) => logs.reset(),
            None => self.model.compiled_mut()?.reset_metrics(),
        }
        Ok(())
    }

    /// One update on a batch.
    fn train_on(&mut self, data: &Batch) -> Result<()> {
        match &mut self.own_step {
            Some(step) => {
                let (seed, number) = (self.fit.seed, self.step);
                let input = StepInput { model: self.model, batch: data, seed, step: number };
                let values = step.train_step(input)?;
                if let Some(logs) = &mut self.model.step_logs {
                    logs.add(&values, data.rows())?;
                }
            }
            None => {
                let parts = self.model.parts()?;
                let data = batch_for(parts.network, parts.compiled, data)?;
                step::train(parts, &data, self.fit.seed, self.step == 0)?;
            }
        }
        self.step += 1;
        Ok(())
    }

    /// The values of the user's own step on validation data.
    fn test_own_step(&mut self, validation: &dyn BatchSource) -> Result<Logs> {
        self.reset_logs()?;
        let Some(step) = &mut self.own_step else { return Ok(Logs::default()) };
        for data in validation.checked_batches(0, 0)? {
            let data = data?;
            let (seed, number) = (self.fit.seed, self.step);
            let input = StepInput { model: self.model, batch: &data, seed, step: number };
            let values = step.test_step(input)?;
            if let Some(logs) = &mut self.model.step_logs {
                logs.add(&values, data.rows())?;
            }
        }
        self.model.logs()
    }

    /// The end of the run, in Keras's order: averaged weights first, then callbacks. All of them
    /// are notified, whatever one of them does.
    fn end(&mut self, end: End) -> Result<()> {
        let mut result = match (&self.own_step, self.model.parts()) {
            (Some(_), _) => Ok(()),
            (None, Err(error)) => Err(error),
            (None, Ok(parts)) => parts.compiled.optimizer()?.finalize(parts.network.store()),
        };
        let steps = self.steps(self.fit.initial_epoch);
        let mut run =
            Run { model: self.model, epochs: self.fit.epochs, steps, logged: &self.logged };
        let event = Event::TrainEnd { end };
        for callback in &mut self.callbacks {
            result = result.and(callback.on(&event, &mut run).map(drop));
        }
        result
    }
}
