//! The loop of a run: epochs, batches, validation, and what callbacks are notified of.

use crate::callbacks::{Callback, End, Event, Flow, Logged, Progress, Run, Verbose, warn};
use crate::checkpoint::{CheckpointFile, Conditions, Keeper, Position};
use crate::evaluate::evaluate_source;
use crate::fit::Fit;
use crate::history::{History, Logs, RunInfo};
use crate::model::Model;
use crate::non_finite::Place;
use crate::prepare::batch_for;
use crate::step;
use crate::step_logs::StepLogs;
use crate::train_step::{StepInput, TrainStep};
use candle_core::DeviceLocation;
use sconce_core::{Error, Result};
use sconce_data::{Batch, BatchSource};

/// A run at work.
pub(crate) struct Training<'a> {
    pub(crate) model: &'a mut Model,
    source: &'a dyn BatchSource,
    validation: Option<&'a dyn BatchSource>,
    pub(crate) fit: Fit,
    pub(crate) callbacks: Vec<Box<dyn Callback>>,
    logged: Logged,
    pub(crate) history: &'a mut History,
    pub(crate) own_step: Option<Box<dyn TrainStep>>,
    /// Where the run is.
    pub(crate) at: Position,
    /// Batches trained on so far.
    pub(crate) step: u64,
    /// How many batches the last epoch had, for sources that do not know beforehand.
    pub(crate) counted: Option<usize>,
    /// Whether a validation loss that is not finite was told of.
    told_of_validation: bool,
    /// What writes checkpoints, and what they say about this run.
    checkpoints: Option<(Keeper, Conditions)>,
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
        let mut logged = logged;
        for callback in &callbacks {
            for name in callback.logs(model)?.names() {
                if !logged.names().any(|known| known == name) {
                    logged.0.push((name.to_string(), None));
                }
            }
        }
        for (index, callback) in callbacks.iter().enumerate() {
            let Some(asked) = callback.checkpoint() else { continue };
            if let Some(other) = &fit.checkpoint {
                return Err(Error::config(
                    format!("callbacks[{index}]"),
                    format!(
                        "a run writes its checkpoints to one folder, and this one to {} already; leave \
                         out one of the two",
                        other.directory.display()
                    ),
                ));
            }
            (fit.checkpoint, fit.resume) = (Some(asked), true);
        }
        let initial_epoch = fit.initial_epoch;
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
            at: Position { epoch: initial_epoch, ..Position::default() },
            step: 0,
            counted: None,
            told_of_validation: false,
            checkpoints: None,
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
        self.begin_checkpoints()?;
        if self.fit.verbose != Verbose::Silent {
            self.callbacks.insert(0, Box::new(Progress::new(self.fit.verbose)));
        }
        Ok(())
    }

    /// Finds out what the run depends on, and goes to where a checkpoint was made, if it is to.
    fn begin_checkpoints(&mut self) -> Result<()> {
        let settings = self.fit.checkpoint.take();
        let device = self.model.device().location();
        self.history.run = Some(RunInfo {
            seed: self.fit.seed,
            version: env!("CARGO_PKG_VERSION").to_string(),
            device: match device {
                DeviceLocation::Cpu => "cpu".to_string(),
                DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
                DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
            },
            configuration: self.fit.configuration.take(),
            ..RunInfo::default()
        });
        if settings.is_none() && !self.fit.fingerprints {
            return Ok(());
        }
        let conditions =
            Conditions::of(self.model, &self.fit, self.source, self.validation, &self.callbacks)?;
        if let Some(run) = &mut self.history.run {
            run.config = Some(conditions.config_hash());
            run.data = conditions.data_hash();
        }
        if let Some(settings) = settings {
            let (keeper, found) = Keeper::begin(settings, self.fit.resume, self.fit.verbose)?;
            if let Some((path, file)) = found {
                conditions.check(&file.state.conditions, &path)?;
                if let Some(other) = self.other_origin(&file) {
                    warn(&format!("the checkpoint {} {other}", path.display()), self.fit.verbose);
                }
                self.restore(file).map_err(|error| {
                    Error::file(&path, format!("the run cannot go on from it: {error}"))
                })?;
                let Position { epoch, batch, stopped } = &self.at;
                let path = path.display();
                match *epoch >= self.fit.epochs || (*batch == 0 && stopped.is_some()) {
                    true => {
                        tracing::info!("{path} is of the end of this run, nothing is left to do")
                    }
                    false => tracing::info!(
                        "the run goes on from {path}, at batch {} of epoch {}",
                        batch + 1,
                        epoch + 1
                    ),
                }
            }
            self.checkpoints = Some((keeper, conditions));
        }
        Ok(())
    }

    /// What to say of a checkpoint that another version, or another device, has made.
    fn other_origin(&self, file: &CheckpointFile) -> Option<String> {
        let RunInfo { version, device, .. } = self.history.run.as_ref()?;
        let before = |key: &str| file.state.run[key].as_str().unwrap_or_default();
        let (version_before, device_before) = (before("version"), before("device"));
        (version_before != version || device_before != device).then(|| {
            format!(
                "was made by version {version_before} of Sconce on {device_before}, and this is version \
                 {version} on {device}: the run goes on, and its last digits may not be those of a run \
                 that was not interrupted"
            )
        })
    }

    /// Writes a checkpoint of the run as it is.
    fn save(&mut self) -> Result<()> {
        let Some((mut keeper, conditions)) = self.checkpoints.take() else { return Ok(()) };
        let saved = self.snapshot(conditions.0.clone()).and_then(|file| keeper.save(file));
        self.checkpoints = Some((keeper, conditions));
        saved
    }

    /// Tells every callback. A reason to stop that one of them has is kept.
    #[inline]
    fn notify(&mut self, event: &Event, steps: Option<usize>) -> Result<()> {
        let mut run =
            Run { model: self.model, epochs: self.fit.epochs, steps, logged: &self.logged };
        for callback in &mut self.callbacks {
            if let Flow::Stop(reason) = callback.on(event, &mut run)? {
                self.at.stopped = Some(reason);
            }
        }
        Ok(())
    }

    fn epochs(&mut self) -> Result<End> {
        self.notify(&Event::TrainBegin, self.steps(self.at.epoch))?;
        while self.at.epoch < self.fit.epochs {
            if let (0, Some(reason)) = (self.at.batch, &self.at.stopped) {
                return Ok(End::Stopped(reason.clone()));
            }
            if self.fit.cancel.is_cancelled() {
                self.save()?;
                return Ok(End::Cancelled);
            }
            self.epoch()?;
        }
        Ok(match &self.at.stopped {
            Some(reason) => End::Stopped(reason.clone()),
            None if self.fit.cancel.is_cancelled() => End::Cancelled,
            None => End::Finished,
        })
    }

    /// One epoch, or the rest of it. Cancelled within, it ends without validation and is no part of the
    /// history.
    fn epoch(&mut self) -> Result<()> {
        let Position { epoch, batch, .. } = self.at;
        let steps = self.steps(epoch);
        match batch {
            0 => {
                self.notify(&Event::EpochBegin { epoch }, steps)?;
                self.reset_logs()?;
                if let (None, Ok(parts)) = (&self.own_step, self.model.parts()) {
                    parts.compiled.health.epoch_begin(epoch, parts.network.graph());
                }
            }
            batch => self.notify(&Event::Resumed { epoch, batch }, steps)?,
        }
        let source = self.source;
        let mut batches = source.checked_batches(epoch, batch)?;
        let mut stop = batch > 0 && self.at.stopped.is_some();
        while !stop {
            let Some(data) = batches.next() else { break };
            let batch = self.at.batch;
            self.notify(&Event::BatchBegin { batch }, steps)?;
            self.train_on(&data?)?;
            self.notify(&Event::BatchEnd { batch }, steps)?;
            self.at.batch += 1;
            if self.fit.cancel.is_cancelled() {
                return Ok(());
            }
            if self.checkpoints.as_ref().is_some_and(|(k, _)| k.due_after_batch(self.step)) {
                self.save()?;
            }
            stop = self.at.stopped.is_some() || steps == Some(self.at.batch);
        }
        self.counted = Some(self.at.batch);
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
        self.tell_of_health(epoch);
        for (name, value) in self.validate(epoch, steps)?.0 {
            logs.0.push((format!("val_{name}"), value));
        }
        for callback in &self.callbacks {
            callback
                .logs(self.model)?
                .0
                .into_iter()
                .for_each(|(name, value)| logs.set(&name, value));
        }
        // By now it is known how many batches the epoch had.
        let steps = steps.or(self.counted);
        self.history.push(epoch, &logs);
        self.notify(&Event::EpochEnd { epoch, logs }, steps)?;
        (self.at.epoch, self.at.batch) = (epoch + 1, 0);
        let done = self.at.epoch - self.fit.initial_epoch;
        let is_last = self.at.stopped.is_some() || self.at.epoch == self.fit.epochs;
        if self.checkpoints.as_ref().is_some_and(|(k, _)| k.due_after_epochs(done, is_last)) {
            self.save()?;
        }
        Ok(())
    }

    /// Says what the steps of an epoch have shown, each thing once.
    fn tell_of_health(&mut self, epoch: usize) {
        let Ok((network, compiled)) = self.model.network_and_compiled() else { return };
        compiled.health.epoch_end(epoch, network.store());
        if self.fit.verbose != Verbose::Silent || tracing::enabled!(tracing::Level::WARN) {
            for notice in compiled.health.take_notices() {
                warn(&notice, self.fit.verbose);
            }
        }
    }

    /// Loss and metrics on the validation data, if it is this epoch's turn.
    fn validate(&mut self, epoch: usize, steps: Option<usize>) -> Result<Logs> {
        let Some(validation) = self.validation else { return Ok(Logs::default()) };
        if !(epoch + 1).is_multiple_of(self.fit.validation_freq) {
            return Ok(Logs::default());
        }
        self.notify(&Event::TestBegin, steps)?;
        let logs = match &mut self.own_step {
            None => evaluate_source(self.model, validation)?,
            Some(_) => self.test_own_step(validation)?,
        };
        let finite = logs.get("loss").is_none_or(f64::is_finite);
        if !finite && !std::mem::replace(&mut self.told_of_validation, true) {
            // As in Keras the run goes on: the training loss may be as it should be.
            let line = format!(
                "the validation loss of epoch {} is not finite ({}); check the validation data",
                epoch + 1,
                logs.get("loss").unwrap_or(f64::NAN)
            );
            warn(&line, self.fit.verbose);
        }
        self.notify(&Event::TestEnd { logs: logs.clone() }, steps)?;
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
                let Position { epoch, batch, .. } = self.at;
                let place = Place { source: self.source, epoch, batch };
                step::train(parts, &data, self.fit.seed, self.step == 0, Some(&place))?;
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
        let by_itself = matches!(end, End::Finished | End::Stopped(_));
        let event = Event::TrainEnd { end };
        for callback in &mut self.callbacks {
            result = result.and(callback.on(&event, &mut run).map(drop));
        }
        match &mut self.checkpoints {
            Some((keeper, _)) => {
                let written = keeper.finish(by_itself && result.is_ok());
                result.and(written)
            }
            None => result,
        }
    }
}
