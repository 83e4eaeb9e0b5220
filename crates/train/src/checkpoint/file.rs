//! Checkpoints as files, and the folders that hold them.

use sconce_core::{Error, Fingerprint, Json, Result};
use sconce_saving::{Array, NamedTensors, SafetensorsFile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

const FORMAT: &str = "sconce checkpoint";
const VERSION: &str = "1";
const CHECKSUM: &str = "sha256";
const PREVIOUS: &str = "previous";

/// What a file holds.
pub(crate) struct CheckpointFile {
    pub state: State,
    pub tensors: NamedTensors,
}

/// The JSON beside the arrays.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub position: Position,
    pub steps: u64,
    pub counted: Option<usize>,
    pub conditions: Json,
    pub run: Json,
    pub metrics: Vec<usize>,
    pub history: Json,
    pub callbacks: Vec<SavedCallback>,
    pub step: Option<SavedCallback>,
}

/// Where a run is: everything before this batch of this epoch is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    pub epoch: usize,
    pub batch: usize,
    /// Why a callback has stopped the run, if one has.
    pub stopped: Option<String>,
}

/// What a callback remembers; its arrays are among the file's.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedCallback {
    pub name: String,
    pub values: Json,
    pub tensors: usize,
}

impl CheckpointFile {
    /// Writes it to a folder under the name of its step.
    pub fn write(self, folder: &Path) -> Result<PathBuf> {
        let path = path_of(folder, self.state.steps);
        let state = serde_json::to_string(&self.state).map_err(|e| Error::data(e.to_string()))?;
        let mut metadata = BTreeMap::from([
            ("format".to_string(), FORMAT.to_string()),
            ("version".to_string(), VERSION.to_string()),
            ("state".to_string(), state),
        ]);
        metadata.insert(CHECKSUM.to_string(), checksum(&metadata, &self.tensors));
        SafetensorsFile { metadata, tensors: self.tensors }.write(&path)?;
        Ok(path)
    }

    /// Reads one and compares its checksum.
    ///
    /// # Errors
    /// A file that cannot be read, or that another version of Sconce has made. The inner error is of one
    /// that is damaged.
    pub fn look(path: &Path) -> Result<Result<Self>> {
        File::open(path).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
        let wrong = |message: String| Error::file(path, message);
        let SafetensorsFile { metadata, tensors } = match SafetensorsFile::read(path) {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        let text = |key: &str| metadata.get(key).map(String::as_str).unwrap_or_default();
        if text("format") != FORMAT {
            return Ok(Err(wrong("is not a checkpoint of Sconce".into())));
        }
        if text(CHECKSUM) != checksum(&metadata, &tensors) {
            let message = "is damaged: its checksum is not that of what it holds";
            return Ok(Err(wrong(message.into())));
        }
        if text("version") != VERSION {
            return Err(wrong(format!(
                "is of version {} of the format, this Sconce reads version {VERSION}; go on with the \
                 version that wrote it",
                text("version")
            )));
        }
        let state = serde_json::from_str(text("state")).map_err(|e| wrong(e.to_string()));
        Ok(state.map(|state| Self { state, tensors }))
    }

    /// As [`CheckpointFile::look`], where one that is damaged is an error as any other.
    pub fn read(path: &Path) -> Result<Self> {
        Self::look(path)?
    }
}

/// The sum of everything but the checksum.
pub(super) fn checksum(metadata: &BTreeMap<String, String>, tensors: &NamedTensors) -> String {
    let mut sum = Fingerprint::new();
    for (key, value) in metadata.iter().filter(|(key, _)| *key != CHECKSUM) {
        sum.add(key);
        sum.add(value);
    }
    let mut arrays: Vec<(&str, &Array)> = tensors.iter().collect();
    arrays.sort_by_key(|(name, _)| *name);
    for (name, array) in arrays {
        sum.add(name);
        sum.add(format!("{} {:?}", array.element(), array.shape()));
        sum.add(array.bytes());
    }
    sum.finish()
}

/// The file of a step.
pub(crate) fn path_of(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("step-{step:09}.safetensors"))
}

/// The step in a name.
fn step_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()
}

/// The checkpoints of a folder, newest first. None if there is no folder.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file(folder, format!("cannot be read: {error}"))),
    };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut found: Vec<(u64, PathBuf)> = paths
        .filter(|path| path.is_file())
        .filter_map(|path| Some((step_of(&path)?, path)))
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The newest checkpoint that is whole. Newer ones that are not are renamed, so that they are no
/// longer taken for checkpoints, and told of.
///
/// # Errors
/// If there are some and none is whole: to start over, unasked, would lose the run. If one that may be
/// whole cannot be read, or is another version's.
pub(crate) fn newest(
    folder: &Path,
    mut warn: impl FnMut(String),
) -> Result<Option<(PathBuf, CheckpointFile)>> {
    let found = list(folder)?;
    let mut damaged = Vec::new();
    for path in &found {
        match CheckpointFile::look(path)? {
            Ok(file) => {
                for (path, error) in damaged {
                    let aside = aside(path);
                    // One that cannot be renamed is found, and passed over, again.
                    let _ = fs::rename(path, &aside);
                    warn(format!(
                        "{error}. It is now {}; the run goes on from the checkpoint before it",
                        aside.display()
                    ));
                }
                return Ok(Some((path.clone(), file)));
            }
            Err(error) => damaged.push((path, error)),
        }
    }
    match damaged.into_iter().next() {
        None => Ok(None),
        Some((path, error)) => Err(Error::file(
            path,
            format!(
                "no checkpoint in this folder can be used ({error}); to start over, run without resuming \
                 or remove the folder"
            ),
        )),
    }
}

fn aside(path: &Path) -> PathBuf {
    path.with_extension("safetensors.damaged")
}

/// Removes what a killed process left half written.
pub(crate) fn remove_leftovers(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(".sconce-") && name.ends_with(".tmp") {
            let _ = fs::remove_file(path);
        }
    }
}

/// Moves the checkpoints of an earlier run out of the way, replacing those of the run before it.
/// Whether there were any.
pub(crate) fn set_aside(folder: &Path) -> Result<Option<PathBuf>> {
    let found = list(folder)?;
    if found.is_empty() {
        return Ok(None);
    }
    let previous = folder.join(PREVIOUS);
    let moved = || {
        fs::create_dir_all(&previous)?;
        for old in list(&previous).unwrap_or_default() {
            fs::remove_file(old)?;
        }
        for path in &found {
            if let Some(name) = path.file_name() {
                fs::rename(path, previous.join(name))?;
            }
        }
        std::io::Result::Ok(())
    };
    moved().map_err(|e| {
        let message = format!("the checkpoints of an earlier run cannot be moved there: {e}");
        Error::file(&previous, message)
    })?;
    Ok(Some(previous))
}

/// Removes all but the newest ones.
pub(crate) fn prune(folder: &Path, keep: usize) -> Result<()> {
    for path in list(folder)?.iter().skip(keep) {
        fs::remove_file(path).map_err(|e| Error::file(path, format!("cannot be removed: {e}")))?;
    }
    Ok(())
}
