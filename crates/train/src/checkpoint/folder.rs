//! The folder of a run's checkpoints, which no other run may write to meanwhile.

use sconce_core::atomic::{failed, make_folders};
use sconce_core::{Error, Result};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// A folder that belongs to a run as long as this lives. It is the folder itself that is locked, so that
/// nothing is left of the lock when a process ends, however that ends.
pub(super) struct Folder {
    _lock: Option<File>,
    /// Those that were made for it, outermost first.
    made: Vec<PathBuf>,
}

impl Folder {
    /// Makes the folder if it is missing.
    ///
    /// # Errors
    /// If it is a file, cannot be made, or is another run's.
    pub fn take(path: &Path) -> Result<Self> {
        if path.as_os_str().is_empty() {
            let message = "must be the name of a folder, got \"\"";
            return Err(Error::config("checkpoint.directory", message));
        }
        if path.exists() && !path.is_dir() {
            return Err(Error::file(path, "is a file; checkpoints need a folder of their own"));
        }
        let made = make_folders(path).map_err(|e| failed(path, &e))?;
        let mut folder = Self { _lock: None, made };
        // Windows opens no folder as a file.
        if cfg!(unix) {
            let lock = File::open(path).map_err(|e| failed(path, &e))?;
            match lock.try_lock() {
                Ok(()) => folder._lock = Some(lock),
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::file(
                        path,
                        "another run is at work with the checkpoints in this folder; wait for its end, \
                         or choose another folder",
                    ));
                }
                // File systems without locks: two runs in one folder are then for people to avoid.
                Err(TryLockError::Error(_)) => {}
            }
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for folder in self.made.iter().rev() {
            // One with a checkpoint in it, or anything else, stays.
            let _ = fs::remove_dir(folder);
        }
    }
}
