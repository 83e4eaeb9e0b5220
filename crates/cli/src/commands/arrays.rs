//! Arrays given for a model's inputs and outputs, by place or by name.

use super::predictions::STDOUT;
use sconce::core::registry::unknown;
use sconce::core::{Error, Result, Tensor};
use sconce::data::{CsvColumns, read_csv_features, read_npy, read_npz};
use std::path::{Path, PathBuf};

/// A file for an input or output: `X.npy`, or `NAME=X.npy`.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayFile {
    name: Option<String>,
    /// The file.
    pub path: PathBuf,
}

impl std::str::FromStr for ArrayFile {
    type Err = String;

    /// What stands before the first `=` is a name, unless it holds a slash; `./a=b.npy` is a file.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !name.contains(['/', '\\']) => {
                if path.is_empty() {
                    return Err(format!("`{text}` names no file; write {name}=FILE.npy"));
                }
                Ok(Self { name: Some(name.into()), path: path.into() })
            }
            _ => Ok(Self { name: None, path: text.into() }),
        }
    }
}

impl ArrayFile {
    /// Standard output in the place of a file.
    pub fn stdout() -> Self {
        Self { name: None, path: STDOUT.into() }
    }
}

/// The arrays of files in the order of the names: of `.npy` files, of a `.npz` file that has all of
/// them by name or one of them, and the features of `.csv` files. `columns` is what a model of one
/// input says about those.
pub fn read(
    slots: &Slots<'_>,
    files: &[ArrayFile],
    columns: Option<&CsvColumns>,
) -> Result<Vec<Tensor>> {
    if let ([ArrayFile { name: None, path }], [_, _, ..]) = (files, slots.names)
        && has_ending(path, "npz")
    {
        let arrays = read_npz(path)?;
        return slots.names.iter().map(|name| of_name(path, &arrays, name, slots)).collect();
    }
    let columns = columns.filter(|_| slots.names.len() == 1);
    let one = |(file, name): (&ArrayFile, &&str)| match &file.path {
        path if has_ending(path, "npz") => match read_npz(path)?.as_slice() {
            [(_, array)] => Ok(array.clone()),
            arrays => of_name(path, arrays, name, slots),
        },
        path if has_ending(path, "csv") => Ok(read_csv_features(path, columns)?.0),
        path => read_npy(path),
    };
    slots.order(files)?.into_iter().zip(slots.names).map(one).collect()
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|e| e == ending)
}

fn of_name(
    path: &Path,
    arrays: &[(String, Tensor)],
    name: &str,
    slots: &Slots<'_>,
) -> Result<Tensor> {
    let found = arrays.iter().find(|(other, _)| other == name).map(|(_, array)| array.clone());
    found.ok_or_else(|| {
        let names: Vec<&str> = arrays.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(", ");
        let message = format!("holds {names}, but no array for the {} `{name}`", slots.kind);
        Error::file(path, message)
    })
}

/// The inputs or the outputs of a model.
pub struct Slots<'a> {
    /// The argument that files are given with.
    pub argument: &'a str,
    /// What they are: "input" or "output".
    pub kind: &'a str,
    /// Their names.
    pub names: &'a [&'a str],
    /// Whether they are a dict, whose members have no order.
    pub is_dict: bool,
}

impl Slots<'_> {
    /// The files in the order of the names.
    ///
    /// # Errors
    /// Files with and without names, an unknown name or one given twice, too many or too few files,
    /// and files without names where the order is not plain.
    pub fn order<'f>(&self, files: &'f [ArrayFile]) -> Result<Vec<&'f ArrayFile>> {
        let Self { argument, kind, names, .. } = self;
        let wrong = |message: String| Error::config("", format!("{argument}: {message}"));
        let listed = format!(
            "the model has {} {kind}{} ({})",
            names.len(),
            if names.len() == 1 { "" } else { "s" },
            names.join(", ")
        );
        let example = names.first().copied().unwrap_or("NAME");
        let named: Vec<&str> = files.iter().filter_map(|file| file.name.as_deref()).collect();
        if named.is_empty() {
            if files.len() != names.len() {
                return Err(wrong(format!(
                    "{listed}, got {} file{}; give one for each",
                    files.len(),
                    if files.len() == 1 { "" } else { "s" }
                )));
            }
            if self.is_dict && names.len() > 1 {
                return Err(wrong(format!(
                    "the {kind}s of this model are a dict ({}), which has no order; give each by \
                     name: {argument} {example}=FILE.npy",
                    names.join(", ")
                )));
            }
            return Ok(files.iter().collect());
        }
        if named.len() != files.len() {
            return Err(wrong(format!(
                "give every {kind} by name ({argument} {example}=FILE.npy), or none"
            )));
        }
        if let Some(name) = named.iter().find(|name| !names.contains(name)) {
            return Err(wrong(unknown(kind, name, names.iter().copied())));
        }
        let file_of = |name: &&str| {
            let mut of_name = files.iter().filter(|file| file.name.as_deref() == Some(*name));
            match (of_name.next(), of_name.next()) {
                (Some(file), None) => Ok(file),
                (None, _) => Err(wrong(format!(
                    "the {kind} `{name}` is missing; add {argument} {name}=FILE.npy"
                ))),
                (Some(_), Some(_)) => Err(wrong(format!("the {kind} `{name}` is given twice"))),
            }
        };
        names.iter().map(file_of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(files: &[&str], is_dict: bool) -> std::result::Result<Vec<String>, String> {
        let files: Vec<ArrayFile> = files.iter().map(|file| file.parse().unwrap()).collect();
        let slots = Slots { argument: "--input", kind: "input", names: &["z", "y"], is_dict };
        let paths = slots.order(&files).map_err(|e| e.to_string())?;
        Ok(paths.iter().map(|file| file.path.display().to_string()).collect())
    }

    #[test]
    fn files_find_their_place() {
        assert_eq!(ordered(&["a.npy", "b.npy"], false).unwrap(), ["a.npy", "b.npy"]);
        assert_eq!(ordered(&["y=a.npy", "z=b=c.npy"], true).unwrap(), ["b=c.npy", "a.npy"]);
        assert_eq!(ordered(&["./y=a.npy", "b.npy"], false).unwrap(), ["./y=a.npy", "b.npy"]);
        for (files, is_dict, message) in [
            (&["a.npy", "b.npy"][..], true, "a dict (z, y), which has no order; give each by name"),
            (
                &["a.npy"],
                false,
                "--input: the model has 2 inputs (z, y), got 1 file; give one for each",
            ),
            (
                &["y=a.npy", "b.npy"],
                false,
                "give every input by name (--input z=FILE.npy), or none",
            ),
            (&["y=a.npy", "zz=b.npy"], false, "unknown input `zz`. Did you mean `z`?"),
            (&["y=a.npy"], false, "the input `z` is missing; add --input z=FILE.npy"),
            (&["y=a.npy", "z=b.npy", "y=c.npy"], true, "the input `y` is given twice"),
        ] {
            let error = ordered(files, is_dict).unwrap_err();
            assert!(error.contains(message), "{files:?}: {error}");
        }
        assert!("y=".parse::<ArrayFile>().unwrap_err().contains("write y=FILE.npy"));
    }
}
