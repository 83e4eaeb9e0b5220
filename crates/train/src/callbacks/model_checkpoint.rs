//! Saves the model while it trains.

use super::file_name::FileName;
use super::{
    Callback, CallbackConfig, CallbackState, Event, Flow, Goal, Mode, Run, monitor, notice,
};
use crate::history::{Logs, short};
use sconce_core::atomic::check_writable;
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{Config, ConfigValue, Error, Json, Result, json};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Saves the model, or its weights, after each epoch or every so many batches (Keras's
/// `ModelCheckpoint`). A file is replaced as a whole or not at all.
///
/// `filepath` may hold values in Python's form: `{epoch:02d}-{val_loss:.2f}.keras`; `epoch` and
/// (with a number as `save_freq`) `batch` count from 1. It must end in `.keras`, or with
/// `save_weights_only` in `.weights.h5` (Keras's) or `.safetensors`.
///
/// With `save_best_only` it saves only when the monitored value is better than at the last saving.
/// An epoch that was not validated has no value and is not saved then (Keras saves it).
#[derive(Clone, Debug, Config)]
pub struct ModelCheckpoint {
    /// The file, with values in its name.
    pub filepath: String,
    /// The logged name to watch.
    #[config(default = "val_loss")]
    pub monitor: String,
    /// 1 says on stderr what it does, 0 nothing.
    #[config(default = 0)]
    pub verbose: u8,
    /// Whether only improvements are saved.
    #[config(default = false)]
    pub save_best_only: bool,
    /// Whether only weights are saved.
    #[config(default = false)]
    pub save_weights_only: bool,
    /// Which way is better.
    #[config(default)]
    pub mode: Mode,
    /// When to save: `"epoch"` (after each), or every so many batches.
    #[config(default)]
    pub save_freq: SaveFreq,
    /// A value that the first saving must beat.
    #[config(range = "(-inf, inf)")]
    pub initial_value_threshold: Option<f64>,
    /// How many of the files that it has saved are kept, the last ones; left out, all. (Keras's
    /// `OrbaxCheckpoint` has it.)
    #[config(skip_none, range = "[1, inf)")]
    pub max_to_keep: Option<usize>,
    #[config(skip)]
    memory: Memory,
    #[config(skip)]
    prepared: Option<(FileName, Goal)>,
}

/// When a [`ModelCheckpoint`] saves. In JSON `"epoch"` or a number of batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaveFreq {
    /// After each epoch.
    #[default]
    Epoch,
    /// Every so many batches.
    Batches(usize),
}

impl ConfigValue for SaveFreq {
    fn from_json(value: &Json) -> Result<Self> {
        match (value.as_str(), usize::from_json(value)) {
            (Some("epoch"), _) => Ok(Self::Epoch),
            (_, Ok(batches @ 1..)) => Ok(Self::Batches(batches)),
            _ => Err(mismatch("\"epoch\" or a number of batches of at least 1", value)),
        }
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::Epoch => Ok("epoch".into()),
            Self::Batches(batches) => batches.to_json(),
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        serde_json::json!({"anyOf": [{"enum": ["epoch"]}, {"type": "integer", "minimum": 1}]})
    }
}

/// What is remembered between events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    #[serde(with = "crate::exact::option")]
    best: Option<f64>,
    epoch: usize,
    batches: usize,
    /// The files that it has saved and not removed, with `max_to_keep`.
    #[serde(default)]
    saved: Vec<PathBuf>,
}

impl ModelCheckpoint {
    /// The value that the next saving must beat, with `save_best_only`.
    pub fn best(&self) -> Option<f64> {
        self.memory.best
    }

    /// Whether and where to save now.
    fn decide(&mut self, batch: usize, logs: &Logs) -> Option<PathBuf> {
        let (name, goal) = self.prepared.as_ref()?;
        let path = PathBuf::from(name.format(self.memory.epoch + 1, batch + 1, logs));
        let epoch = self.memory.epoch + 1;
        let say = |text: String| {
            if self.verbose > 0 {
                notice(&format!("Epoch {epoch}: {text}"))
            }
        };
        if !self.save_best_only {
            say(format!("saving model to {}", path.display()));
            return Some(path);
        }
        let value = logs.get(&self.monitor)?;
        let before = self.memory.best.map_or("none".to_string(), short);
        if !monitor::improved(*goal, 0.0, value, self.memory.best) {
            say(format!("{} did not improve from {before}", self.monitor));
            return None;
        }
        let (now, path_text) = (short(value), path.display());
        say(format!(
            "{} improved from {before} to {now}, saving model to {path_text}",
            self.monitor
        ));
        self.memory.best = Some(value);
        Some(path)
    }

    fn save(&mut self, batch: usize, logs: &Logs, run: &Run<'_>) -> Result<()> {
        let before = self.memory.clone();
        let Some(path) = self.decide(batch, logs) else { return Ok(()) };
        let finite = run.model.check_finite_weights("before they were to be saved");
        let saved = finite.and_then(|()| match self.save_weights_only {
            true => run.model.save_weights(&path),
            false => run.model.save(&path),
        });
        match saved {
            Ok(()) => self.remove_old(path),
            Err(error) => {
                self.memory = before;
                Err(error)
            }
        }
    }

    /// Removes what `max_to_keep` leaves no place for, now that this file is saved.
    fn remove_old(&mut self, path: PathBuf) -> Result<()> {
        let Some(keep) = self.max_to_keep else { return Ok(()) };
        let saved = &mut self.memory.saved;
        saved.retain(|other| *other != path);
        saved.push(path);
        let old: Vec<PathBuf> = saved.drain(..saved.len().saturating_sub(keep)).collect();
        old.into_iter().try_for_each(|path| match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::file(path, format!("cannot be removed: {error}")))
            }
            _ => Ok(()),
        })
    }
}

impl CallbackConfig for ModelCheckpoint {
    fn check(&self) -> Result<()> {
        let (what, endings) = match self.save_weights_only {
            true => ("a file of weights", &[".weights.h5", ".safetensors"][..]),
            false => ("a file of a model", &[".keras"][..]),
        };
        if endings.iter().any(|ending| self.filepath.ends_with(ending)) {
            return Ok(());
        }
        let endings = endings.join(" or ");
        let message = format!("{what} must end in {endings}, got `{}`", self.filepath);
        Err(Error::config("filepath", message))
    }

    fn files(&self) -> Vec<(&'static str, PathBuf)> {
        // A name with values in it has braces; then it is not one file.
        let one = !self.filepath.contains(['{', '}']);
        one.then(|| ("filepath", self.filepath.clone().into())).into_iter().collect()
    }

    fn start(&self) -> Box<dyn Callback> {
        Box::new(self.clone())
    }
}

impl Callback for ModelCheckpoint {
    fn name(&self) -> &'static str {
        "ModelCheckpoint"
    }

    fn prepare(&mut self, run: &Run<'_>) -> Result<()> {
        self.check_ranges()?;
        self.check()?;
        let by_batch = self.save_freq != SaveFreq::Epoch;
        // Values of the validation exist only at the end of an epoch.
        let logged = run.logged.names().filter(|name| !by_batch || !name.starts_with("val_"));
        let names: Vec<&str> =
            ["epoch"].into_iter().chain(by_batch.then_some("batch")).chain(logged).collect();
        let name = FileName::parse(&self.filepath, &names).map_err(|e| e.under("filepath"))?;
        let goal = match self.save_best_only {
            true if by_batch && self.monitor.starts_with("val_") => {
                return Err(Error::config(
                    "monitor",
                    format!(
                        "`{}` is known after an epoch only: use save_freq \"epoch\", or monitor \
                         \"loss\"",
                        self.monitor
                    ),
                ));
            }
            true => run.logged.goal(&self.monitor, self.mode)?,
            // The name that it has by default matters to nobody then.
            false if self.monitor == "val_loss" => Goal::Min,
            false => run.logged.check("monitor", &self.monitor).map(|()| Goal::Min)?,
        };
        let zeros = Logs(run.logged.names().map(|n| (n.to_string(), 0.0)).collect());
        check_writable(Path::new(&name.format(1, 1, &zeros)))?;
        if !self.save_weights_only {
            run.model.check_can_be_saved()?;
        }
        self.memory = Memory { best: self.initial_value_threshold, ..Memory::default() };
        self.prepared = Some((name, goal));
        Ok(())
    }

    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow> {
        match (event, self.save_freq) {
            (Event::EpochBegin { epoch }, _) => self.memory.epoch = *epoch,
            (Event::EpochEnd { logs, .. }, SaveFreq::Epoch) => self.save(0, logs, run)?,
            (Event::BatchEnd { batch }, SaveFreq::Batches(every)) => {
                self.memory.batches += 1;
                if self.memory.batches >= every {
                    self.memory.batches = 0;
                    self.save(*batch, &run.logs()?, run)?;
                }
            }
            _ => {}
        }
        Ok(Flow::Continue)
    }

    fn state(&self) -> Result<CallbackState> {
        let values =
            serde_json::to_value(&self.memory).map_err(|e| Error::config("", e.to_string()))?;
        Ok(CallbackState { values, tensors: Vec::new() })
    }

    fn restore(&mut self, state: CallbackState) -> Result<()> {
        self.memory = json::parse(state.values)?;
        Ok(())
    }
}
