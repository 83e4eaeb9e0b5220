//! Progress on stderr: a bar on a terminal, one line an epoch elsewhere.
//!
//! Separation of concerns: this file follows the run and decides when to draw; `text` puts the
//! words together for a width; `bar` owns the terminal.

mod bar;
mod text;

use super::{Callback, End, Event, Flow, Run, notice};
use bar::Bar;
use console::Term;
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{ConfigValue, Json, Result};
use std::time::{Duration, Instant};
use text::Epoch;

/// What is shown of a run. In JSON as Keras's `verbose`: `"auto"`, 0, 1 or 2.
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

impl ConfigValue for Verbose {
    fn from_json(value: &Json) -> Result<Self> {
        match (value.as_str(), value.as_u64()) {
            (Some("auto"), _) => Ok(Self::Auto),
            (_, Some(0)) => Ok(Self::Silent),
            (_, Some(1)) => Ok(Self::Bar),
            (_, Some(2)) => Ok(Self::Line),
            _ => {
                let expected = "\"auto\", 0 (silent), 1 (a bar) or 2 (a line an epoch)";
                Err(mismatch(expected, value))
            }
        }
    }

    fn to_json(&self) -> Result<Json> {
        Ok(match self {
            Self::Auto => "auto".into(),
            Self::Silent => 0.into(),
            Self::Bar => 1.into(),
            Self::Line => 2.into(),
        })
    }

    fn schema(_: &mut Definitions) -> Json {
        serde_json::json!({"enum": ["auto", 0, 1, 2]})
    }
}

/// Time between two drawings of the bar.
const REDRAW: Duration = Duration::from_millis(67);

/// The clock is read after at most so many batches. In between, a batch costs one subtraction.
const MOST_BATCHES: u32 = 64;

/// Shows progress.
pub struct Progress {
    bar: Option<Bar<Term>>,
    epoch: Epoch,
    started: Instant,
    /// When the first batch ended: it does not count in the time of a step, since it is not like
    /// the others.
    warm: Option<Instant>,
    drawn: Instant,
    /// Batches until the clock is read again, and how many there were this time.
    countdown: u32,
    interval: u32,
    /// The first batch of the epoch that this run makes.
    first: usize,
}

impl Progress {
    /// For a level; `Silent` shows nothing only because `fit` then leaves this callback out.
    pub fn new(verbose: Verbose) -> Self {
        let term = Term::buffered_stderr();
        let on_terminal = term.is_term() && !console::is_dumb();
        let bar = match verbose {
            Verbose::Bar => true,
            Verbose::Auto => on_terminal,
            Verbose::Silent | Verbose::Line => false,
        };
        Self::with_bar(bar.then(|| Bar::new(term, console::colors_enabled_stderr())))
    }

    fn with_bar(bar: Option<Bar<Term>>) -> Self {
        let now = Instant::now();
        Self {
            bar,
            epoch: Epoch::default(),
            started: now,
            warm: None,
            drawn: now,
            countdown: 1,
            interval: 1,
            first: 0,
        }
    }

    fn epoch_begin(&mut self, epoch: usize, first: usize, run: &Run<'_>) {
        let now = Instant::now();
        (self.started, self.drawn, self.warm) = (now, now, None);
        (self.countdown, self.interval) = (1, 1);
        self.first = first;
        self.epoch = Epoch {
            number: epoch + 1,
            epochs: run.epochs,
            steps: run.steps,
            drawn_at: first,
            ..Epoch::default()
        };
        if let Some(bar) = &self.bar {
            bar.print(&[self.epoch.title()]);
        }
    }

    /// Called after each batch; almost always it only counts.
    #[inline]
    fn batch_end(&mut self, batch: usize, run: &Run<'_>) -> Result<()> {
        self.countdown -= 1;
        if self.countdown > 0 { Ok(()) } else { self.look_at_clock(batch + 1, run) }
    }

    #[cold]
    fn look_at_clock(&mut self, done: usize, run: &Run<'_>) -> Result<()> {
        let now = Instant::now();
        let since = now - self.drawn;
        // As many batches as fit into a quarter of the time between two drawings.
        let each = since.as_nanos() / u128::from(self.batches_since_drawn(done)).max(1);
        let fitting = (REDRAW.as_nanos() / 4).checked_div(each).unwrap_or(u128::MAX);
        self.interval = u32::try_from(fitting).unwrap_or(u32::MAX).clamp(1, MOST_BATCHES);
        self.countdown = self.interval;
        let warm = *self.warm.get_or_insert(now);
        if self.bar.is_none() || since < REDRAW {
            return Ok(());
        }
        self.measure(done, now, warm);
        self.epoch.logs = run.logs()?;
        if let Some(bar) = &mut self.bar {
            bar.draw(&self.epoch);
        }
        self.drawn = now;
        self.epoch.drawn_at = done;
        Ok(())
    }

    fn batches_since_drawn(&self, done: usize) -> u64 {
        (done - self.epoch.drawn_at.min(done)) as u64
    }

    fn measure(&mut self, done: usize, now: Instant, warm: Instant) {
        self.epoch.done = done;
        self.epoch.elapsed = now - self.started;
        self.epoch.a_step = match done.saturating_sub(self.first) {
            0 | 1 => self.epoch.elapsed,
            done => (now - warm) / u32::try_from(done - 1).unwrap_or(u32::MAX),
        };
    }

    fn epoch_end(&mut self, run: &Run<'_>, logs: &crate::history::Logs) {
        let now = Instant::now();
        self.measure(run.steps.unwrap_or_default(), now, self.warm.unwrap_or(now));
        // Known by now, where it was not.
        self.epoch.steps = run.steps;
        self.epoch.logs = logs.clone();
        match &mut self.bar {
            Some(bar) => bar.finish(&self.epoch),
            None => notice(&self.epoch.line()),
        }
    }

    fn train_end(&mut self, end: &End) {
        if let Some(bar) = &mut self.bar {
            bar.leave();
        }
        match end {
            End::Stopped(reason) => notice(&format!("Stopped: {reason}")),
            End::Cancelled => notice("Cancelled"),
            End::Finished | End::Failed(_) => {}
        }
    }
}

impl Callback for Progress {
    fn name(&self) -> &'static str {
        "Progress"
    }

    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow> {
        match event {
            Event::TrainBegin => {
                // A model that is fitted by a training step of the user's own may not be compiled.
                if let Some(compiled) = &mut run.model.compiled {
                    let notices = compiled.new_notices();
                    // A program that listens to the library's events was told already.
                    if !tracing::enabled!(tracing::Level::INFO) {
                        notices.iter().for_each(|n| notice(n));
                    }
                }
            }
            Event::BatchEnd { batch } => self.batch_end(*batch, run)?,
            Event::EpochBegin { epoch } => self.epoch_begin(*epoch, 0, run),
            Event::Resumed { epoch, batch } => self.epoch_begin(*epoch, *batch, run),
            Event::EpochEnd { logs, .. } => self.epoch_end(run, logs),
            Event::TrainEnd { end } => self.train_end(end),
            _ => {}
        }
        Ok(Flow::Continue)
    }
}
