//! The values of each epoch as a CSV file.

use super::{Callback, CallbackConfig, CallbackState, Event, Flow, Run, python_float};
use crate::history::Logs;
use sconce_core::atomic::check_writable;
use sconce_core::{Config, Error, Result, json};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// Writes the values of each epoch to a CSV file, a row an epoch, at once (Keras's `CSVLogger`, byte
/// for byte its layout).
///
/// The columns are `epoch` (from 0), the names of the first epoch's values sorted, and, if those
/// hold no `val_` names, their `val_` forms. A value that an epoch lacks is `NA`. Missing folders
/// are made.
#[derive(Debug, Config)]
pub struct CSVLogger {
    /// The file.
    pub filename: PathBuf,
    /// What is between two values: one ASCII character.
    #[config(default = ",")]
    pub separator: String,
    /// Whether an existing file goes on instead of being replaced.
    #[config(default = false)]
    pub append: bool,
    #[config(skip)]
    memory: Memory,
    #[config(skip)]
    file: Option<File>,
}

/// What is remembered between epochs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    /// Whether this run has opened the file.
    begun: bool,
    /// The columns after `epoch`; none before the first row.
    keys: Option<Vec<String>>,
    /// Length of the file, with everything written so far.
    bytes: u64,
    /// Rows written by this run.
    rows: usize,
}

impl CSVLogger {
    fn delimiter(&self) -> Result<u8> {
        match self.separator.as_bytes() {
            [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
            _ => Err(Error::config(
                "separator",
                format!("must be one ASCII character such as \",\", got {:?}", self.separator),
            )),
        }
    }

    /// Opens the file: where the interrupted run left it, at its end, or empty.
    fn open(&mut self) -> Result<()> {
        let open = |memory: &mut Memory| -> io::Result<File> {
            if let Some(folder) = self.filename.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut options = OpenOptions::new();
            let file = options.create(true).truncate(false).write(true).open(&self.filename)?;
            let length = file.metadata()?.len();
            let keep = match memory.begun {
                // It was moved away: the rest goes to a new one.
                true if length == 0 => 0,
                true if length < memory.bytes => {
                    return Err(io::Error::other(format!(
                        "it is shorter ({length} bytes) than this run left it ({} bytes); move it away, \
                         and a new one begins",
                        memory.bytes
                    )));
                }
                true => memory.bytes,
                false if self.append => length,
                false => 0,
            };
            memory.begun = true;
            memory.bytes = keep;
            file.set_len(keep)?;
            Ok(file)
        };
        let mut memory = self.memory.clone();
        self.file = Some(open(&mut memory).map_err(|e| self.failed(&e))?);
        self.memory = memory;
        Ok(())
    }

    fn write(&mut self, epoch: usize, logs: &Logs) -> Result<()> {
        let mut rows = csv::WriterBuilder::new()
            .delimiter(self.delimiter()?)
            .terminator(csv::Terminator::CRLF)
            .from_writer(Vec::new());
        let csv_error = |e: csv::Error| Error::data(e.to_string());
        let keys = match self.memory.keys.take() {
            Some(keys) => keys,
            None => columns(logs),
        };
        if self.memory.bytes == 0 {
            let header = std::iter::once("epoch").chain(keys.iter().map(String::as_str));
            rows.write_record(header).map_err(csv_error)?;
        }
        let value = |key: &String| logs.get(key).map_or("NA".to_string(), python_float::repr);
        let row = std::iter::once(epoch.to_string()).chain(keys.iter().map(value));
        rows.write_record(row).map_err(csv_error)?;
        self.memory.keys = Some(keys);
        let bytes = rows.into_inner().map_err(|e| Error::data(e.to_string()))?;
        let at = self.memory.bytes;
        if let Some(file) = &mut self.file {
            // One write at a known place: a retry or a resumed run never doubles a row.
            let written = file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(&bytes));
            written.map_err(|e| self.failed(&e))?;
            self.memory.bytes += bytes.len() as u64;
            self.memory.rows += 1;
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::file(&self.filename, format!("cannot be written: {error}"))
    }
}

/// Keras's columns after `epoch`.
fn columns(logs: &Logs) -> Vec<String> {
    let mut keys: Vec<String> = logs.names().into_iter().map(str::to_string).collect();
    keys.sort();
    if !keys.iter().any(|key| key.starts_with("val_")) {
        keys.extend(keys.clone().iter().map(|key| format!("val_{key}")));
    }
    keys
}

impl CallbackConfig for CSVLogger {
    fn check(&self) -> Result<()> {
        self.delimiter().map(drop)
    }

    fn files(&self) -> Vec<(&'static str, PathBuf)> {
        vec![("filename", self.filename.clone())]
    }

    fn start(&self) -> Box<dyn Callback> {
        Box::new(Self::new(&self.filename).separator(self.separator.as_str()).append(self.append))
    }
}

impl Callback for CSVLogger {
    fn name(&self) -> &'static str {
        "CSVLogger"
    }

    fn prepare(&mut self, _run: &Run<'_>) -> Result<()> {
        self.check()?;
        self.memory = Memory::default();
        self.file = None;
        check_writable(&self.filename)
    }

    fn on(&mut self, event: &Event, _run: &mut Run<'_>) -> Result<Flow> {
        match event {
            Event::TrainBegin => self.open()?,
            Event::EpochEnd { epoch, logs } => self.write(*epoch, logs)?,
            Event::TrainEnd { .. } => self.file = None,
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
