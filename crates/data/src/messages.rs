//! Texts from files, names and numbers as error messages show them: printable, and not without end.

use sconce_core::registry::nearest;
use sconce_core::{Error, Result};
use std::fs::File;
use std::io;
use std::path::Path;

/// The most names of columns or classes in one message.
const NAMES: usize = 8;
/// The most characters of one text.
const CHARACTERS: usize = 40;

/// "1 row", "2 rows", "2 batches".
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if noun.ends_with("ch") { "es" } else { "s" };
    format!("{number} {noun}{}", if number == 1 { "" } else { plural })
}

/// A text without control characters, cut where it is long.
pub(crate) fn printable(text: &str) -> String {
    let start: String = text.chars().take(CHARACTERS).flat_map(char::escape_debug).collect();
    let dots = if text.chars().nth(CHARACTERS).is_some() { "..." } else { "" };
    format!("{start}{dots}")
}

/// A field of a file, for a message.
pub(crate) fn shown(field: &[u8]) -> String {
    format!("`{}`", printable(&String::from_utf8_lossy(field)))
}

/// "a, b, c", of many names the first few: "a, b, ..., and 990 more".
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let first: Vec<String> =
        names.iter().take(NAMES).map(|name| printable(name.as_ref())).collect();
    match names.len().saturating_sub(NAMES) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// As [`sconce_core::registry::unknown`], for names out of files.
pub(crate) fn unknown<S: AsRef<str>>(kind: &str, name: &str, known: &[S]) -> String {
    let names: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let hint = nearest(name, &names)
        .map(|near| format!(" Did you mean `{}`?", printable(near)))
        .unwrap_or_default();
    format!("unknown {kind} `{}`.{hint} Known: {}.", printable(name), listed(&names))
}

/// Opens a file to read, unless it is something that might never end or begin (a pipe, a device).
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    let unreadable = |e: io::Error| Error::file(path, format!("cannot be read: {e}"));
    // Asked before it is opened: opening a pipe that nobody writes to waits for good.
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Error::file(path, "is a folder; give the name of a file"));
    }
    if !metadata.is_file() {
        return Err(Error::file(
            path,
            "is not a regular file but a pipe or a device; save the data to a file first",
        ));
    }
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    Ok((file, length))
}

/// Puts a place ("rows 1 to 32") before the message of an error about data or a file.
pub(crate) fn at(error: Error, place: &str) -> Error {
    match error {
        Error::File { path, message } => {
            Error::File { path, message: format!("{place}: {message}") }
        }
        other => Error::data(format!("{place}: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cut_and_cleaned() {
        let names: Vec<String> = (0..1000).map(|i| format!("c{i}")).collect();
        assert_eq!(listed(&names), "c0, c1, c2, c3, c4, c5, c6, c7 and 992 more");
        assert_eq!(listed(&["a", "\u{1b}[31mred\n"]), "a, \\u{1b}[31mred\\n");
        let text = unknown("column", "c99x", &names);
        assert!(text.contains("Did you mean `c99") && text.len() < 150, "{text}");
        assert_eq!(printable(&"z".repeat(41)), format!("{}...", "z".repeat(40)));
    }

    #[test]
    fn numbers_and_nouns_agree() {
        assert_eq!((count(1, "row"), count(0, "row")), ("1 row".into(), "0 rows".into()));
        assert_eq!(count(2, "batch"), "2 batches");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        assert!(open(dir.path()).unwrap_err().to_string().contains("is a folder"));
        #[cfg(unix)]
        {
            let pipe = dir.path().join("pipe");
            let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
            assert!(made.success());
            // Both would wait for a writer that never comes.
            let error = crate::read_npy(&pipe).unwrap_err().to_string();
            assert!(error.contains("pipe: is not a regular file but a pipe"), "{error}");
            let error =
                crate::read_csv(&pipe, &crate::CsvColumns::new("y")).unwrap_err().to_string();
            assert!(error.contains("pipe: is not a regular file but a pipe"), "{error}");
        }
    }
}
