//! The files that a task reads and writes, so that no output replaces an input or another output.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// Files by where their paths really lead: through symbolic links, `.` and `..`.
#[derive(Clone, Debug, Default)]
pub struct FileSet {
    files: Vec<(PathBuf, String)>,
}

impl FileSet {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file that the task reads; `what` it is, as messages call it.
    pub fn reads(&mut self, what: impl Into<String>, path: impl AsRef<Path>) {
        self.files.extend(place(path.as_ref()).map(|path| (path, what.into())));
    }

    /// Adds a file that the task writes.
    ///
    /// # Errors
    /// What the same file is already, if it is one of the set. Devices and pipes may be written by
    /// several.
    pub fn writes(
        &mut self,
        what: impl Into<String>,
        path: impl AsRef<Path>,
    ) -> Result<(), String> {
        let Some(path) = place(path.as_ref()) else { return Ok(()) };
        if let Some((_, other)) = self.files.iter().find(|(other, _)| *other == path) {
            return Err(other.clone());
        }
        self.files.push((path, what.into()));
        Ok(())
    }
}

/// Where a path leads, whether there is a file or not; `None` for what is no regular file.
fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(real) = fs::canonicalize(path) {
        return fs::metadata(&real).is_ok_and(|found| found.is_file()).then_some(real);
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = absolute.ancestors().find_map(|a| Some((a, fs::canonicalize(a).ok()?)));
    let (there, mut real) = folder.unwrap_or((Path::new(""), PathBuf::new()));
    for component in absolute.strip_prefix(there).unwrap_or(&absolute).components() {
        match component {
            Component::ParentDir => drop(real.pop()),
            Component::CurDir => {}
            other => real.push(other),
        }
    }
    Some(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_by_every_path_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        fs::write(file("x.npy"), b"x").unwrap();
        let mut files = FileSet::new();
        files.reads("the input", file("x.npy"));
        files.writes("the model", file("new/m.keras")).unwrap();
        let taken = |path: &str| files.clone().writes("the history", file(path)).unwrap_err();
        assert_eq!(taken("x.npy"), "the input");
        assert_eq!(taken("./x.npy"), "the input");
        assert_eq!(taken("new/../x.npy"), "the input");
        assert_eq!(taken("new/m.keras"), "the model");
        assert_eq!(taken("new/old/../m.keras"), "the model");
        files.clone().writes("the history", file("new/h.json")).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(file("x.npy"), file("link")).unwrap();
            std::os::unix::fs::symlink(dir.path(), file("here")).unwrap();
            assert_eq!(taken("link"), "the input");
            assert_eq!(taken("here/new/m.keras"), "the model");
            let mut devices = FileSet::new();
            devices.writes("the model", "/dev/null").unwrap();
            devices.writes("the history", "/dev/null").unwrap();
        }
    }
}
