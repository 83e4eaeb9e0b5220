//! Every event of a run as a line of JSON, for programs that watch it.

use super::{Callback, End, Event, Flow, Run};
use crate::history::Logs;
use sconce_core::{Error, Json, Result};
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Writes each event as a line of JSON, at once but for those of batches, which wait for the next other
/// one. A file that is there goes on.
///
/// | `event` | other keys |
/// |---|---|
/// | `train_begin` | `epochs`, `steps` (batches of an epoch, or `null`) |
/// | `epoch_begin`, `batch_begin`, `batch_end` | `epoch`, `batch` (from 0; in batches) |
/// | `resumed` | `epoch`, `batch`: what comes goes on from here, and is there twice if it had come before |
/// | `test_begin` | `epoch` |
/// | `test_end`, `epoch_end` | `epoch`, `logs`: names and values; one that is not finite is `null` |
/// | `train_end` | `end`: `finished`, `stopped`, `cancelled` or `failed`, and `reason` |
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    epoch: usize,
    file: Option<BufWriter<File>>,
}

impl EventLog {
    /// Into this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), epoch: 0, file: None }
    }

    fn open(&self) -> io::Result<File> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        OpenOptions::new().create(true).append(true).open(&self.path)
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::file(&self.path, format!("cannot be written: {error}"))
    }

    fn line(&mut self, event: &Event, run: &Run<'_>) -> Json {
        match event {
            Event::EpochBegin { epoch } | Event::Resumed { epoch, .. } => self.epoch = *epoch,
            _ => {}
        }
        let epoch = self.epoch;
        match event {
            Event::TrainBegin => {
                json!({"event": "train_begin", "epochs": run.epochs, "steps": run.steps})
            }
            Event::EpochBegin { .. } => json!({"event": "epoch_begin", "epoch": epoch}),
            Event::Resumed { batch, .. } => {
                json!({"event": "resumed", "epoch": epoch, "batch": batch})
            }
            Event::BatchBegin { batch } => {
                json!({"event": "batch_begin", "epoch": epoch, "batch": batch})
            }
            Event::BatchEnd { batch } => {
                json!({"event": "batch_end", "epoch": epoch, "batch": batch})
            }
            Event::TestBegin => json!({"event": "test_begin", "epoch": epoch}),
            Event::TestEnd { logs } => {
                json!({"event": "test_end", "epoch": epoch, "logs": values(logs)})
            }
            Event::EpochEnd { epoch, logs } => {
                json!({"event": "epoch_end", "epoch": epoch, "logs": values(logs)})
            }
            Event::TrainEnd { end } => {
                let (end, reason) = match end {
                    End::Finished => ("finished", None),
                    End::Stopped(reason) => ("stopped", Some(reason)),
                    End::Cancelled => ("cancelled", None),
                    End::Failed(reason) => ("failed", Some(reason)),
                };
                json!({"event": "train_end", "end": end, "reason": reason})
            }
        }
    }
}

fn values(logs: &Logs) -> Json {
    logs.0.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
}

impl Callback for EventLog {
    fn name(&self) -> &'static str {
        "EventLog"
    }

    fn prepare(&mut self, _run: &Run<'_>) -> Result<()> {
        let file = self.open().map_err(|e| self.failed(&e))?;
        self.file = Some(BufWriter::new(file));
        Ok(())
    }

    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow> {
        let line = self.line(event, run);
        let of_batch = matches!(event, Event::BatchBegin { .. } | Event::BatchEnd { .. });
        if let Some(file) = &mut self.file {
            let written = writeln!(file, "{line}");
            let written = if of_batch { written } else { written.and_then(|()| file.flush()) };
            written.map_err(|e| self.failed(&e))?;
        }
        Ok(Flow::Continue)
    }
}
