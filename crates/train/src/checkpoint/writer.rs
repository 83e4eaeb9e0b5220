//! The thread that writes checkpoints while training goes on.

use super::file::{self, CheckpointFile};
use sconce_core::{Error, Result};
use std::path::Path;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Writes one file at a time. It ends with the run: dropping it waits for the file at hand.
#[derive(Default)]
pub(super) struct Writer {
    at_work: Option<JoinHandle<Result<Duration>>>,
    /// How long the last one took.
    pub took: Duration,
}

impl Writer {
    /// Whether the last file is still being written.
    pub fn is_busy(&self) -> bool {
        self.at_work.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Starts to write, and removes all but the newest `keep` then.
    ///
    /// # Errors
    /// If the file before could not be written; this one is written all the same.
    pub fn write(&mut self, file: CheckpointFile, folder: &Path, keep: usize) -> Result<()> {
        let folder = folder.to_path_buf();
        self.start(move || {
            let start = Instant::now();
            file.write(&folder)?;
            file::prune(&folder, keep)?;
            Ok(start.elapsed())
        })
    }

    fn start(&mut self, work: impl FnOnce() -> Result<Duration> + Send + 'static) -> Result<()> {
        let before = self.wait();
        let started = Builder::new().name("sconce-checkpoint".into()).spawn(work);
        self.at_work = Some(started.map_err(|error| {
            Error::training(format!("no thread to write checkpoints can be started: {error}"))
        })?);
        before
    }

    /// Waits for the file at hand.
    ///
    /// # Errors
    /// If it could not be written.
    pub fn wait(&mut self) -> Result<()> {
        let Some(thread) = self.at_work.take() else { return Ok(()) };
        match thread.join() {
            Ok(written) => written.map(|took| self.took = took),
            Err(_) => Err(Error::training("the thread that writes checkpoints panicked")),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A run that failed has an error of its own to report.
        let _ = self.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_panic_of_the_thread_is_an_error() {
        let mut writer = Writer::default();
        writer.start(|| panic!("out of memory")).unwrap();
        let error = writer.wait().unwrap_err().to_string();
        assert_eq!(error, "the thread that writes checkpoints panicked");
        // The next one is written all the same.
        writer.start(|| Err(Error::data("no space"))).unwrap();
        assert!(
            writer
                .start(|| Ok(Duration::from_secs(7)))
                .unwrap_err()
                .to_string()
                .contains("no space")
        );
        writer.wait().unwrap();
        assert_eq!(writer.took, Duration::from_secs(7));
    }

    #[test]
    fn dropping_it_waits_for_the_file_at_hand() {
        let done = Arc::new(AtomicBool::new(false));
        let set = done.clone();
        let mut writer = Writer::default();
        writer
            .start(move || {
                std::thread::sleep(Duration::from_millis(300));
                set.store(true, Ordering::SeqCst);
                Ok(Duration::ZERO)
            })
            .unwrap();
        assert!(writer.is_busy());
        drop(writer);
        assert!(done.load(Ordering::SeqCst));
    }
}
