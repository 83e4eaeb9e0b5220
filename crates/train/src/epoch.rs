//! The loop of a run: epochs, batches, validation, and what callbacks hear of them.

use crate::callbacks::{Callback, End, Event, Flow, Logged, Progress, Run, Verbose};
use crate::evaluate::evaluate_data;
use crate::fit::Fit;
use crate::history::{History, Logs};
use crate::model::Model;
use crate::step::{self, Batch};
use sconce_core::{Error, Result};
use sconce_data::BatchPlan;

/// A run at work.
struct Training<'a> {
    model: &'a mut Model,
    data: &'a Batch,
    validation: Option<&'a Batch>,
    fit: Fit,
    plan: BatchPlan,
    rows: usize,
    callbacks: Vec<Box<dyn Callback>>,
    logged: Logged,
    history: History,
    /// The pass over the data that `order` is for.
    pass: Option<usize>,
    order: Option<Vec<u32>>,
    first: bool,
}

/// Trains a model on prepared data. However the epochs end, every callback hears of the end, and of
/// several errors the first is returned.
pub(crate) fn train(
    model: &mut Model,
    data: &Batch,
    validation: Option<&Batch>,
    fit: Fit,
) -> Result<History> {
    let mut training = Training::new(model, data, validation, fit)?;
    training.prepare()?;
    let run = training.epochs();
    let end = match &run {
        Ok(end) => end.clone(),
        Err(error) => End::Failed(error.to_string()),
    };
    let ended = training.end(end);
    run.and(ended).map(|()| training.history)
}

impl<'a> Training<'a> {
    fn new(
        model: &'a mut Model,
        data: &'a Batch,
        validation: Option<&'a Batch>,
        mut fit: Fit,
    ) -> Result<Self> {
        let rows = data.y.dims().first().copied().unwrap_or(0);
        let mut plan = BatchPlan::new(rows, fit.batch_size)?;
        if let Some(steps) = fit.steps_per_epoch {
            plan = plan.with_steps_per_epoch(steps)?;
        }
        let logged = model.compiled()?.logged();
        let logged = if validation.is_some() { logged.with_validation() } else { logged };
        let callbacks = std::mem::take(&mut fit.callbacks);
        Ok(Self {
            model,
            data,
            validation,
            fit,
            plan,
            rows,
            callbacks,
            logged,
            history: History::default(),
            pass: None,
            order: None,
            first: true,
        })
    }

    /// Lets every callback check that it can work, and shows progress before all others.
    fn prepare(&mut self) -> Result<()> {
        let steps = self.plan.steps(self.fit.initial_epoch);
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
    fn tell(&mut self, event: &Event, steps: usize) -> Result<Flow> {
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
        let mut flow = self.tell(&Event::TrainBegin, self.plan.steps(epoch))?;
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
        let steps = self.plan.steps(epoch);
        self.order(epoch)?;
        let mut flow = self.tell(&Event::EpochBegin { epoch }, steps)?;
        let mut join = |more: Flow| {
            if more != Flow::Continue {
                flow = more;
            }
            flow != Flow::Continue
        };
        self.model.compiled_mut()?.reset_metrics();
        for (batch, range) in self.plan.batches(epoch).enumerate() {
            self.tell(&Event::BatchBegin { batch }, steps).map(&mut join)?;
            let rows = match &self.order {
                Some(order) => self.data.gather(order.get(range).unwrap_or(&[]))?,
                None => self.data.narrow(range.start, range.len())?,
            };
            step::train(self.model.parts()?, &rows, self.fit.seed, self.first)?;
            self.first = false;
            let stop = self.tell(&Event::BatchEnd { batch }, steps).map(&mut join)?;
            if self.fit.cancel.is_cancelled() {
                return Ok(flow);
            }
            if stop {
                break;
            }
        }
        let mut logs = self.model.compiled()?.logs()?;
        if logs.0.first().is_some_and(|(_, loss)| !loss.is_finite()) {
            return Err(Error::training(format!("the loss of epoch {} is not finite", epoch + 1)));
        }
        for (name, value) in self.validate(epoch, steps, &mut join)?.0 {
            logs.0.push((format!("val_{name}"), value));
        }
        self.history.push(epoch, &logs);
        self.tell(&Event::EpochEnd { epoch, logs }, steps).map(&mut join)?;
        Ok(flow)
    }

    /// Loss and metrics on the validation data, if it is this epoch's turn.
    fn validate(
        &mut self,
        epoch: usize,
        steps: usize,
        join: &mut impl FnMut(Flow) -> bool,
    ) -> Result<Logs> {
        let Some(validation) = self.validation else { return Ok(Logs::default()) };
        if !(epoch + 1).is_multiple_of(self.fit.validation_freq) {
            return Ok(Logs::default());
        }
        self.tell(&Event::TestBegin, steps).map(&mut *join)?;
        let batch_size = self.fit.validation_batch_size.unwrap_or(self.fit.batch_size);
        let logs = evaluate_data(self.model, validation, batch_size)?;
        self.tell(&Event::TestEnd { logs: logs.clone() }, steps).map(join)?;
        Ok(logs)
    }

    /// Makes the order of the rows for the pass that an epoch belongs to.
    fn order(&mut self, epoch: usize) -> Result<()> {
        let pass = self.plan.pass(epoch);
        if self.pass != Some(pass) {
            let Fit { shuffle, seed, batch_size, .. } = &self.fit;
            self.order = shuffle.order(*seed, pass as u64, self.rows, *batch_size)?;
            self.pass = Some(pass);
        }
        Ok(())
    }

    /// The end of the run, in Keras's order: averaged weights first, then callbacks. All of them hear
    /// of it, whatever one of them does.
    fn end(&mut self, end: End) -> Result<()> {
        let (network, compiled, _) = self.model.parts()?;
        let mut result = compiled.optimizer()?.finalize(network.store());
        let steps = self.plan.steps(self.fit.initial_epoch);
        let mut run =
            Run { model: self.model, epochs: self.fit.epochs, steps, logged: &self.logged };
        let event = Event::TrainEnd { end };
        for callback in &mut self.callbacks {
            result = result.and(callback.on(&event, &mut run).map(drop));
        }
        result
    }
}
