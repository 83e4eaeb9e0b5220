//! Closures as a callback.

use super::{Callback, End, Event, Flow, Run};
use crate::history::Logs;
use sconce_core::Result;

type Listener = Box<dyn FnMut(&Event, &mut Run<'_>) -> Result<Flow> + Send>;

/// Calls closures at the events they are given for (Keras's `LambdaCallback`). Only for programs: a
/// run configuration holds no code.
///
/// ```
/// use sconce_train::callbacks::{Flow, LambdaCallback};
///
/// let callback = LambdaCallback::new().on_epoch_end(|epoch, logs, _run| {
///     println!("{epoch}: {logs}");
///     Ok(if logs.get("loss") < Some(0.1) { Flow::Stop("good enough".into()) } else { Flow::Continue })
/// });
/// ```
#[derive(Default)]
pub struct LambdaCallback {
    listeners: Vec<Listener>,
}

impl LambdaCallback {
    /// One that does nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn listen(
        mut self,
        listener: impl FnMut(&Event, &mut Run<'_>) -> Result<Flow> + Send + 'static,
    ) -> Self {
        self.listeners.push(Box::new(listener));
        self
    }

    /// Before the first epoch.
    pub fn on_train_begin(
        self,
        mut f: impl FnMut(&mut Run<'_>) -> Result<Flow> + Send + 'static,
    ) -> Self {
        self.listen(move |event, run| match event {
            Event::TrainBegin => f(run),
            _ => Ok(Flow::Continue),
        })
    }

    /// After the last epoch, however the run ended.
    pub fn on_train_end(
        self,
        mut f: impl FnMut(&End, &mut Run<'_>) -> Result<Flow> + Send + 'static,
    ) -> Self {
        self.listen(move |event, run| match event {
            Event::TrainEnd { end } => f(end, run),
            _ => Ok(Flow::Continue),
        })
    }

    /// Before an epoch (from 0).
    pub fn on_epoch_begin(
        self,
        mut f: impl FnMut(usize, &mut Run<'_>) -> Result<Flow> + Send + 'static,
    ) -> Self {
        self.listen(move |event, run| match event {
            Event::EpochBegin { epoch } => f(*epoch, run),
            _ => Ok(Flow::Continue),
        })
    }

    /// After an epoch (from 0) and its validation, with its values.
    pub fn on_epoch_end(
        self,
        mut f: impl FnMut(usize, &Logs, &mut Run<'_>) -> Result<Flow> + Send + 'static,
    ) -> Self {
        self.listen(move |event, run| match event {
            Event::EpochEnd { epoch, logs } => f(*epoch, logs, run),
            _ => Ok(Flow::Continue),
        })
    }

    /// Before a batch (from 0 in each epoch).
    pub fn on_train_batch_begin(
        self,
        mut f: impl FnMut(usize, &mut Run<'_>) -> Result<Flow> + Send + 'static,
    ) -> Self {
        self.listen(move |event, run| match event {
            Event::BatchBegin { batch } => f(*batch, run),
            _ => Ok(Flow::Continue),
        })
    }

    /// After a batch (from 0 in each epoch). [`Run::logs`] gives the values so far.
    pub fn on_train_batch_end(
        self,
        mut f: impl FnMut(usize, &mut Run<'_>) -> Result<Flow> + Send + 'static,
    ) -> Self {
        self.listen(move |event, run| match event {
            Event::BatchEnd { batch } => f(*batch, run),
            _ => Ok(Flow::Continue),
        })
    }

    /// Before the validation of an epoch.
    pub fn on_test_begin(
        self,
        mut f: impl FnMut(&mut Run<'_>) -> Result<Flow> + Send + 'static,
    ) -> Self {
        self.listen(move |event, run| match event {
            Event::TestBegin => f(run),
            _ => Ok(Flow::Continue),
        })
    }

    /// After the validation of an epoch, with its values.
    pub fn on_test_end(
        self,
        mut f: impl FnMut(&Logs, &mut Run<'_>) -> Result<Flow> + Send + 'static,
    ) -> Self {
        self.listen(move |event, run| match event {
            Event::TestEnd { logs } => f(logs, run),
            _ => Ok(Flow::Continue),
        })
    }
}

impl Callback for LambdaCallback {
    fn name(&self) -> &'static str {
        "LambdaCallback"
    }

    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow> {
        let mut flow = Flow::Continue;
        for listener in &mut self.listeners {
            if let stop @ Flow::Stop(_) = listener(event, run)? {
                flow = stop;
            }
        }
        Ok(flow)
    }
}
