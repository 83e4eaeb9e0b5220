//! Files for the inputs and outputs of a model: by position, or by name as `name=file.npy`.

use sconce::core::registry::unknown;
use sconce::core::{Error, Result};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A file, with the name of the input or output that it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedPath {
    name: Option<String>,
    /// The file.
    pub path: PathBuf,
}

impl FromStr for NamedPath {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Names hold no separators; `runs/lr=0.1/x.npy` is a path.
        Ok(match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !name.contains(['/', '\\', '.']) => {
                Self { name: Some(name.to_string()), path: path.into() }
            }
            _ => Self { name: None, path: text.into() },
        })
    }
}

/// The files in the order of a model's inputs or outputs (`what`). `is_dict`: the model states them by
/// name, so that their order means nothing.
///
/// # Errors
/// Names that the model does not have or that are missing, too many or too few files, and files
/// without names where the order means nothing.
pub fn in_order<'a>(
    given: &'a [NamedPath],
    names: &[&str],
    is_dict: bool,
    what: &str,
) -> Result<Vec<&'a Path>> {
    let named = given.iter().filter(|file| file.name.is_some()).count();
    let known = names.join(", ");
    if named == 0 {
        // Arrays that are too many or too few are data, which the model itself refuses.
        if what == "output" && given.len() != names.len() {
            let (count, plural) = (names.len(), if names.len() == 1 { "" } else { "s" });
            return Err(usage(format!(
                "the model has {count} {what}{plural} ({known}), got {} times --{what}; give it once \
                 for each, in this order",
                given.len()
            )));
        }
        if is_dict && names.len() > 1 {
            return Err(usage(format!(
                "the model's {what}s are a dict ({known}), which has no order: name each file, \
                 `--{what} {}=FILE`",
                names.first().unwrap_or(&"")
            )));
        }
        return Ok(given.iter().map(|file| file.path.as_path()).collect());
    }
    for file in given {
        match &file.name {
            None => {
                return Err(usage(format!(
                    "name every --{what} or none; {} has no name",
                    file.path.display()
                )));
            }
            Some(name) if !names.contains(&name.as_str()) => {
                return Err(usage(unknown(what, name, names.iter().copied())));
            }
            Some(_) => {}
        }
    }
    let file_of = |name: &&str| {
        let mut files = given.iter().filter(|file| file.name.as_deref() == Some(*name));
        match (files.next(), files.next()) {
            (Some(file), None) => Ok(file.path.as_path()),
            (None, _) => {
                Err(usage(format!("--{what} {name}=FILE is missing; the model has {known}")))
            }
            (Some(_), Some(_)) => Err(usage(format!("--{what} {name}=FILE is given twice"))),
        }
    };
    names.iter().map(file_of).collect()
}

fn usage(message: String) -> Error {
    Error::config("", message)
}
