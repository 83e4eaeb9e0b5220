//! What a run left in a folder.

use super::{Source, report};
use crate::checkpoint::{self, CheckpointFile};
use crate::files::LoadOptions;
use crate::history::History;
use crate::model::Model;
use crate::run_config::{RunConfig, read_json};
use sconce_core::{Device, Error, Json, Result};
use sconce_data::messages::listed;
use std::path::{Path, PathBuf};

/// A run by what it left: its history, and the configuration that the history holds. The history of a run
/// that is at work, or was killed, is that of its newest checkpoint.
pub struct SavedRun {
    /// What people call it: the name of its folder or file.
    pub name: String,
    /// The values of every epoch.
    pub history: History,
    /// The folder that it was found in.
    folder: PathBuf,
    /// Where the history is from, if it is from a checkpoint.
    checkpoint: Option<PathBuf>,
}

impl SavedRun {
    /// Finds the run in a folder (the history that `output.history` named, or the newest checkpoint in it
    /// or in a folder in it), or in a file (a history or a checkpoint).
    ///
    /// # Errors
    /// If there is no history, or there are several.
    pub fn find(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if path.is_file() {
            return match path.extension().is_some_and(|ending| ending == "safetensors") {
                true => Self::of_checkpoint(path, name_of(path)),
                false => Self::of_history(path, name_of(path)),
            };
        }
        let found = files_in(path)?;
        let ending = |path: &Path, ending: &str| path.extension().is_some_and(|e| e == ending);
        let histories: Vec<PathBuf> = found
            .iter()
            .filter(|file| file.is_file() && ending(file, "json") && read_history(file).is_ok())
            .cloned()
            .collect();
        match histories.as_slice() {
            [history] => return Self::of_history(history, name_of(path)),
            [] => {}
            several => {
                let names: Vec<String> = several.iter().map(|file| file_name(file)).collect();
                let message = format!(
                    "holds the histories of several runs ({}); name one of them",
                    listed(&names)
                );
                return Err(Error::config("", format!("{}: {message}", path.display())));
            }
        }
        let mut checkpoints = Vec::new();
        for folder in found.iter().filter(|file| file.is_dir()).chain([&path.to_path_buf()]) {
            checkpoints.push(checkpoint::list(folder)?);
        }
        checkpoints.retain(|files| !files.is_empty());
        match checkpoints.as_slice() {
            [files] => {
                // One that is damaged is for the run that goes on to deal with.
                let whole = |file: &PathBuf| Self::of_checkpoint(file, name_of(path)).ok();
                let run = files.iter().find_map(whole).ok_or_else(|| nothing(path))?;
                Ok(Self { folder: path.to_path_buf(), ..run })
            }
            [] => Err(nothing(path)),
            _ => {
                let message = "holds no history, and checkpoints of several runs; name one of them";
                Err(Error::config("", format!("{}: {message}", path.display())))
            }
        }
    }

    fn of_history(path: &Path, name: String) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Ok(Self { name, history: read_history(path)?, folder, checkpoint: None })
    }

    fn of_checkpoint(path: &Path, name: String) -> Result<Self> {
        let state = CheckpointFile::read(path)?.state;
        let mut history = History::default();
        history.restore(&state.history)?;
        history.run = sconce_core::json::parse(state.run)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Ok(Self { name, history, folder, checkpoint: Some(path.to_path_buf()) })
    }

    /// The run configuration, of a run that had one.
    pub fn configuration(&self) -> Option<&Json> {
        self.history.run.as_ref()?.configuration.as_ref()
    }

    /// The folder that it was found in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The page of the run: one file of HTML that needs nothing else. What the model makes of the data is
    /// computed anew, from the model and the data that the configuration names; if one of them is no longer
    /// there, the page says so.
    ///
    /// # Errors
    /// If the model fails on the data.
    pub fn report(&self, device: &Device) -> Result<String> {
        let mut source = Source {
            title: self.name.clone(),
            history: &self.history,
            model: None,
            samples: None,
            batch_size: crate::evaluate::BATCH_SIZE,
            steps: None,
            notes: Vec::new(),
        };
        if let Some(checkpoint) = &self.checkpoint {
            source.notes.push(format!(
                "The run has not ended: this is what its checkpoint {} holds.",
                file_name(checkpoint)
            ));
        }
        let config = match self.configuration().map(RunConfig::from_json) {
            Some(Ok(config)) => Some(config),
            Some(Err(error)) => {
                source.notes.push(format!("The configuration of the run cannot be read: {error}"));
                None
            }
            None => {
                source.notes.push(
                    "The history holds no run configuration, so nothing is known of the data. \
                     `sconce train` writes one into it."
                        .into(),
                );
                None
            }
        };
        let model = match self.model_file(config.as_ref()) {
            Some(path) => {
                let loaded = Model::load_with(&path, LoadOptions::new().device(device));
                loaded.map_err(|e| source.notes.push(format!("The model cannot be read: {e}"))).ok()
            }
            None => {
                let why = "The model is not there, so its layers and mistakes are not shown.";
                source.notes.push(why.into());
                None
            }
        };
        source.model = model.as_ref();
        if let (Some(model), Some(config)) = (&model, &config) {
            source.batch_size = config.fit.batch_size;
            match config.samples(model) {
                Ok((samples, steps)) => {
                    (source.samples, source.steps) = (Some(samples), Some(steps));
                }
                Err(error) => source.notes.push(format!(
                    "The data of the run cannot be read, so mistakes are not shown: {error}. File \
                     names are relative to the folder that `sconce train` was started in."
                )),
            }
        }
        report(source)
    }

    /// The model that the run wrote: where its configuration says, or in the folder of the history.
    fn model_file(&self, config: Option<&RunConfig>) -> Option<PathBuf> {
        let stated = config.and_then(|config| config.output.model.clone());
        let moved = stated.as_ref().and_then(|path| path.file_name());
        let moved = moved.map(|name| self.folder.join(name));
        // A history file that was moved goes with the model beside it.
        if let Some(path) = moved.into_iter().chain(stated).find(|path| path.is_file()) {
            return Some(path);
        }
        let models = files_in(&self.folder).unwrap_or_default().into_iter();
        let mut models = models.filter(|file| file.extension().is_some_and(|e| e == "keras"));
        match (models.next(), models.next()) {
            (Some(one), None) => Some(one),
            _ => None,
        }
    }
}

fn nothing(path: &Path) -> Error {
    Error::config(
        "",
        format!(
            "{}: holds no history and no whole checkpoint of a run; `sconce train` writes a history where the \
             configuration has \"output\": {{\"history\": \"history.json\"}}",
            path.display()
        ),
    )
}

fn read_history(path: &Path) -> Result<History> {
    let (_, value) = read_json(path)?;
    serde_json::from_value(value).map_err(|e| Error::file(path, format!("is no history: {e}")))
}

/// What is in a folder, by name.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
            .map_err(|e| Error::config("", format!("{}: cannot be read: {e}", folder.display())))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

/// The name of a folder, or of a file with its folder's.
fn name_of(path: &Path) -> String {
    match path.canonicalize().ok().as_ref().and_then(|whole| whole.file_name()) {
        Some(name) if path.is_dir() => name.to_string_lossy().into_owned(),
        _ => path.display().to_string(),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
