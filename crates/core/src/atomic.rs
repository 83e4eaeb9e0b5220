//! Files that are either the old one or the whole new one, whatever happens in between.

use crate::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where [`write_atomic`] lets its caller write.
pub trait Sink: Write + Seek {}

impl<T: Write + Seek> Sink for T {}

/// Writes a file so that a reader, a full disk or a crash never sees half of it: `write` fills a
/// temporary file in the same folder, which is then synced and renamed over `path`. If anything
/// fails, the old file is as it was and the temporary one is removed.
///
/// Missing folders are created. A symbolic link is followed; the permissions of an existing file are
/// kept, and one marked read-only is refused. A path that is not a regular file (a device, a pipe) is
/// written directly.
pub fn write_atomic(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Sink) -> io::Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    let target = Target::find(path)?;
    if target.is_special() {
        let opened = OpenOptions::new().write(true).open(&target.path);
        return opened.and_then(|file| fill(&file, write)).map_err(|e| failed(path, &e));
    }
    replace(&mut Disk, &target, write).map_err(|e| failed(path, &e))
}

/// The calls that make a file last; tests have them fail.
trait Durable {
    /// Writes a file's content to the disk.
    fn sync_file(&mut self, file: &File) -> io::Result<()>;

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes a rename itself durable.
    fn sync_folder(&mut self, folder: &Path) -> io::Result<()>;
}

struct Disk;

impl Durable for Disk {
    fn sync_file(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Windows has no such call.
    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    }
}

fn replace(
    disk: &mut impl Durable,
    target: &Target,
    write: impl FnOnce(&mut dyn Sink) -> io::Result<()>,
) -> io::Result<()> {
    make_folders(target.folder())?;
    let mut temporary = Temporary::create(target.folder())?;
    fill(&temporary.file, write)?;
    disk.sync_file(&temporary.file)?;
    target.copy_permissions_to(&temporary.file)?;
    if let Some(path) = &temporary.path {
        disk.rename(path, &target.path)?;
    }
    temporary.path = None;
    disk.sync_folder(target.folder())
}

/// Checks that [`write_atomic`] could write `path`, before hours of training end in an error. Nothing
/// is left behind, neither files nor folders.
pub fn check_writable(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let target = Target::find(path)?;
    if target.is_special() {
        let opened = OpenOptions::new().write(true).open(&target.path);
        return opened.map(drop).map_err(|e| failed(path, &e));
    }
    let made = make_folders(target.folder()).map_err(|e| failed(path, &e))?;
    // A name that is too long, or none, does as the name of no file.
    let named = match fs::symlink_metadata(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, &error)),
        _ => Ok(()),
    };
    let probe = Temporary::create(target.folder())
        .and_then(|probe| (&probe.file).write_all(b"0"))
        .map_err(|e| failed(path, &e));
    for folder in made.iter().rev() {
        // A folder that somebody else filled meanwhile stays.
        let _ = fs::remove_dir(folder);
    }
    named.and(probe)
}

/// Creates the missing folders of a path; gives back those it made, outermost first.
pub fn make_folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let mut made: Vec<PathBuf> =
        folder.ancestors().take_while(missing).map(Path::to_path_buf).collect();
    made.reverse();
    fs::create_dir_all(folder)?;
    Ok(made)
}

/// Where a path really leads.
struct Target {
    path: PathBuf,
    existing: Option<fs::Metadata>,
}

impl Target {
    fn find(path: &Path) -> Result<Self> {
        if path.as_os_str().is_empty() {
            return Err(Error::config("", "must be the name of a file, got \"\""));
        }
        if path.file_name().is_none() {
            return Err(Error::file(path, "is not the name of a file"));
        }
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let existing = fs::metadata(&real).ok();
        if let Some(found) = &existing {
            if found.is_dir() {
                return Err(Error::file(path, "is a folder; give the name of a file"));
            }
            if found.is_file() && found.permissions().readonly() {
                return Err(Error::file(
                    path,
                    "is read-only; choose another name or change its permissions",
                ));
            }
        }
        Ok(Self { path: real, existing })
    }

    fn is_special(&self) -> bool {
        self.existing.as_ref().is_some_and(|found| !found.is_file())
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    fn copy_permissions_to(&self, file: &File) -> io::Result<()> {
        match &self.existing {
            Some(found) => file.set_permissions(found.permissions()),
            None => Ok(()),
        }
    }
}

/// A file that vanishes unless it is renamed.
struct Temporary {
    file: File,
    path: Option<PathBuf>,
}

impl Temporary {
    fn create(folder: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!(".sconce-{}-{count}.tmp", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { file, path: Some(path) }),
                // Left by a killed process that had this number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

fn fill(file: &File, write: impl FnOnce(&mut dyn Sink) -> io::Result<()>) -> io::Result<()> {
    let mut buffered = BufWriter::with_capacity(1 << 20, file);
    let written = write(&mut buffered).and_then(|()| buffered.flush());
    // What is still buffered after an error must not be written by the buffer's own drop.
    let _ = buffered.into_parts();
    written
}

/// The error of a path that cannot be written, with what to do.
pub fn failed(path: &Path, error: &io::Error) -> Error {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let advice = match error.kind() {
        StorageFull | QuotaExceeded => "; free some space and save again (an older file is kept)",
        PermissionDenied | ReadOnlyFilesystem => "; choose a folder that you may write to",
        _ => "",
    };
    Error::file(path, format!("cannot be written: {error}{advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn writes_a_file_and_its_folders() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("runs/digits/history.json");
        write_atomic(&path, |sink| sink.write_all(b"{}")).unwrap();
        write_atomic(&path, |sink| sink.write_all(b"[]")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"[]");
        assert_eq!(names(path.parent().unwrap()), ["history.json"]);
    }

    #[test]
    fn a_failure_keeps_the_old_file_and_removes_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.keras");
        fs::write(&path, b"old").unwrap();
        let error = write_atomic(&path, |sink| {
            sink.write_all(&vec![1; 3 << 20])?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("model.keras") && error.contains("free some space"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["model.keras"]);
    }

    /// The calls in their order; one of them fails.
    #[derive(Default)]
    struct Faulty {
        calls: Vec<&'static str>,
        fails: &'static str,
    }

    impl Faulty {
        fn call(&mut self, name: &'static str) -> io::Result<()> {
            self.calls.push(name);
            if self.fails == name { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    impl Durable for Faulty {
        fn sync_file(&mut self, file: &File) -> io::Result<()> {
            assert_eq!(file.metadata()?.len(), 3, "all is written before it is synced");
            self.call("sync file")
        }

        fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
            self.call("rename")?;
            fs::rename(from, to)
        }

        fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
            assert_eq!(names(folder), ["model.keras"], "the folder is synced after the rename");
            self.call("sync folder")
        }
    }

    #[test]
    fn a_file_is_synced_before_it_is_renamed_and_its_folder_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.keras");
        for (fails, calls, left) in [
            ("sync file", &["sync file"][..], b"old"),
            ("rename", &["sync file", "rename"], b"old"),
            ("sync folder", &["sync file", "rename", "sync folder"], b"new"),
            ("", &["sync file", "rename", "sync folder"], b"new"),
        ] {
            fs::write(&path, b"old").unwrap();
            let mut disk = Faulty { fails, ..Faulty::default() };
            let target = Target::find(&path).unwrap();
            let result = replace(&mut disk, &target, |sink| sink.write_all(b"new"));
            assert_eq!(result.is_ok(), fails.is_empty());
            assert_eq!(disk.calls, calls);
            assert_eq!(fs::read(&path).unwrap(), left);
            assert_eq!(names(dir.path()), ["model.keras"]);
        }
    }

    /// What cannot be synced says so: the calls reach the system.
    #[cfg(target_os = "linux")]
    #[test]
    fn files_and_folders_are_really_synced() {
        let (_reader, writer) = io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(writer));
        assert!(Disk.sync_file(&pipe).is_err());
        assert!(Disk.sync_folder(Path::new("/proc")).is_err());
    }

    #[test]
    fn a_panic_of_the_writer_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.keras");
        let result = std::panic::catch_unwind(|| write_atomic(&path, |_| panic!("writer")));
        assert!(result.is_err());
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn a_check_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        check_writable(dir.path().join("runs/digits/model.keras")).unwrap();
        assert!(names(dir.path()).is_empty());
        let path = dir.path().join("model.keras");
        fs::write(&path, b"old").unwrap();
        check_writable(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["model.keras"]);
    }

    #[test]
    fn folders_read_only_files_and_files_as_folders_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"old").unwrap();
        let mut permissions = fs::metadata(&file).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&file, permissions).unwrap();
        let cases = [
            (dir.path().to_path_buf(), "is a folder"),
            (dir.path().join(".."), "not the name of a file"),
            (file.clone(), "read-only"),
            (file.join("model.keras"), "cannot be written"),
            (dir.path().join("a".repeat(300)), "cannot be written"),
            (dir.path().join("a\0b"), "cannot be written"),
            (PathBuf::new(), "must be the name of a file"),
        ];
        for (path, expected) in cases {
            for result in [check_writable(&path), write_atomic(&path, |_| Ok(()))] {
                let error = result.unwrap_err().to_string();
                assert!(error.contains(expected), "{error}");
            }
        }
        assert_eq!(fs::read(&file).unwrap(), b"old");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_permissions_kept_and_devices_written_directly() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, b"old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&real, &link).unwrap();
        write_atomic(&link, |sink| sink.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);

        check_writable("/dev/null").unwrap();
        write_atomic("/dev/null", |sink| sink.write_all(b"x")).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_said_to_be_full() {
        let error = write_atomic("/dev/full", |sink| sink.write_all(b"x")).unwrap_err().to_string();
        assert!(error.contains("/dev/full") && error.contains("free some space"), "{error}");
    }
}
