//! CSV files with a header line, as features and a target.
//!
//! Separation of concerns: `records` cuts bytes into fields; `rows` turns fields into numbers. A file
//! is read twice, first for the type of its target, so that whoever reads it in chunks
//! ([`crate::sources::CsvSource`]) gets the same values as who reads it at once.

mod records;
pub(crate) mod rows;

use crate::messages::open;
use rows::{Rows, scan};
use sconce_core::{Error, Result, Tensor};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Which columns of a file are read, and what is known of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvColumns {
    /// The column of y.
    pub target: String,
    /// The names of the target's classes in the order of their numbers; `None`: those in the file,
    /// sorted.
    pub classes: Option<Vec<String>>,
    /// The columns of x by name, in this order, whatever their order in the file, which must have
    /// all of them and no others; `None`: all columns but the target, in the order of the file.
    pub features: Option<Vec<String>>,
}

impl CsvColumns {
    /// A target, and all other columns as features.
    pub fn new(target: impl Into<String>) -> Self {
        Self { target: target.into(), classes: None, features: None }
    }

    /// States the classes.
    pub fn classes(mut self, classes: Vec<String>) -> Self {
        self.classes = Some(classes);
        self
    }

    /// States the columns of x.
    pub fn features(mut self, features: Vec<String>) -> Self {
        self.features = Some(features);
        self
    }
}

/// What a target column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CsvTarget {
    /// Whole numbers: `I64`.
    Integers,
    /// Numbers: `F32`.
    Floats,
    /// The names of classes, in the order of their numbers: `I64`.
    Classes(Vec<String>),
}

/// The features and the target of a CSV file.
#[derive(Clone, Debug)]
pub struct CsvData {
    /// The features: [rows, features], `F32`.
    pub x: Tensor,
    /// The target: `[rows]`. `I64` for whole numbers and classes, else `F32`.
    pub y: Tensor,
    /// What the numbers of a target of text stand for; `None` for a numeric target.
    pub class_names: Option<Vec<String>>,
    /// The names of the columns of `x`.
    pub feature_names: Vec<String>,
}

/// Reads a comma-separated file (UTF-8, with or without a byte order mark) with a header line.
/// Features must be numbers; spaces around fields do not count.
///
/// A target is numeric if its first value is; its values are then `I64` if all of them are whole,
/// else `F32`. A target of text is turned into class indices, the classes in sorted order, or in the
/// order of [`CsvColumns::classes`].
///
/// # Errors
/// Names the file, and where it can the line, the column and the text: a file that is missing, empty,
/// without a header, in UTF-16, or no regular file; a target that is no column; columns that differ
/// from [`CsvColumns::features`]; a line with more or fewer fields than the header; a quote that is
/// never closed; an empty field; a field that is not a finite number, or beyond the range of `F32`; a
/// class that was not stated.
pub fn read_csv(path: impl AsRef<Path>, columns: &CsvColumns) -> Result<CsvData> {
    let path = path.as_ref();
    let reader = || open(path).map(|(file, _)| BufReader::with_capacity(1 << 16, file));
    let scan = scan(reader()?, columns).map_err(|message| Error::file(path, message))?;
    read(reader()?, columns, scan).map_err(|message| Error::file(path, message))
}

/// Reads the features of a file without needing its target: x [rows, features], `F32`, and their names.
/// With `columns`, those that a model was trained on: the columns of x by name, whatever their order,
/// and the target, which may be missing.
///
/// # Errors
/// As [`read_csv`].
pub fn read_csv_features(
    path: impl AsRef<Path>,
    columns: Option<&CsvColumns>,
) -> Result<(Tensor, Vec<String>)> {
    let path = path.as_ref();
    let (file, _) = open(path)?;
    let target = columns.map(|columns| columns.target.as_str());
    let features = columns.and_then(|columns| columns.features.as_deref());
    rows::features(BufReader::with_capacity(1 << 16, file), target, features)
        .map_err(|message| Error::file(path, message))
}

/// As [`read_csv`], from the bytes of a file.
///
/// # Errors
/// As [`read_csv`].
pub fn read_csv_bytes(bytes: &[u8], columns: &CsvColumns) -> Result<CsvData> {
    scan(bytes, columns)
        .and_then(|scan| read(bytes, columns, scan))
        .map_err(|message| Error::data(format!("the CSV data {message}")))
}

fn read(reader: impl BufRead, columns: &CsvColumns, scan: rows::Scan) -> Result<CsvData, String> {
    let mut rows = Rows::open(reader, columns, &scan.target)?;
    let (x, y) = rows.read(usize::MAX)?.ok_or("has a header line and no rows")?;
    let class_names = match scan.target {
        CsvTarget::Classes(names) => Some(names),
        _ => None,
    };
    Ok(CsvData { x, y, class_names, feature_names: rows.feature_names() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str, target: &str) -> CsvData {
        read_csv_bytes(text.as_bytes(), &CsvColumns::new(target)).unwrap()
    }

    fn error(text: impl AsRef<[u8]>, target: &str) -> String {
        read_csv_bytes(text.as_ref(), &CsvColumns::new(target)).unwrap_err().to_string()
    }

    #[test]
    fn numbers_keep_their_columns() {
        let data = ok("\u{feff}a, y ,b\r\n1,0,-2.5e1\n\n3 ,\"1\",4\n", "y");
        assert_eq!(data.x.to_vec2::<f32>().unwrap(), [[1., -25.], [3., 4.]]);
        assert_eq!(data.y.to_vec1::<i64>().unwrap(), [0, 1]);
        assert_eq!((data.class_names, data.feature_names), (None, vec!["a".into(), "b".into()]));
        let data = ok("y,a\n2.0,1\n0.5,1\n", "y");
        assert_eq!(data.y.to_vec1::<f32>().unwrap(), [2.0, 0.5]);
        assert_eq!(ok("y,a\n16777217,1\n", "y").y.to_vec1::<i64>().unwrap(), [16777217]);
    }

    #[test]
    fn classes_are_sorted_or_as_given() {
        let text = "a,kind\n1,\"virginica, or so\"\n2,setosa\n3,\"virginica, or so\"\n4,b\n";
        let data = ok(text, "kind");
        assert_eq!(data.y.to_vec1::<i64>().unwrap(), [2, 1, 2, 0]);
        assert_eq!(data.class_names.unwrap(), ["b", "setosa", "virginica, or so"]);

        let classes = ["setosa", "b", "none", "virginica, or so"].map(String::from);
        let columns = |classes: &[String]| CsvColumns::new("kind").classes(classes.to_vec());
        let data = read_csv_bytes(text.as_bytes(), &columns(&classes)).unwrap();
        assert_eq!(data.y.to_vec1::<i64>().unwrap(), [3, 0, 3, 1]);
        assert_eq!(data.class_names.unwrap(), classes);
        let message = |classes: &[String]| {
            read_csv_bytes(text.as_bytes(), &columns(classes)).unwrap_err().to_string()
        };
        let text = message(&classes[..3]);
        assert!(text.contains("line 2, column `kind`: unknown class `virginica, or so`"), "{text}");
        assert!(message(&["b".into(), "b".into()]).contains("repeat a name"));
    }

    #[test]
    fn errors_name_line_column_and_text() {
        for (text, expected) in [
            ("a,y\n1,0\n\n\n12x,1\n", "line 5, column `a`: `12x` is not a number"),
            ("a,y\r\n1,0\r\n\r\n12x,1\r\n", "line 4, column `a`: `12x` is not a number"),
            ("a,y\r1,0\r12x,1", "line 3, column `a`: `12x` is not a number"),
            ("a,y\n\"1\n2\",0\n", "line 2, column `a`: `1\\n2` is not a number"),
            ("a,y\n1,0\nnan,1\n", "line 3, column `a`: `nan` is not a finite number"),
            (
                "a,y\n1e99,1\n",
                "line 2, column `a`: 1e99 is beyond 3.4028235e38, the largest float32",
            ),
            ("a,y\n-1e999,1\n", "`-1e999` is beyond 1.797"),
            ("a,y\n1,\"x\n2,x\n3,z\n", "line 2: the quote opened on this line is never closed"),
            ("a,y\n,1\n", "line 2, column `a`: the field is empty"),
            ("a,y\n1,2\n3,x\n", "column `y`: `x` is not a number, as the target's first is"),
            ("a,y\n1,nan\n", "column `y`: `nan` is not a finite number"),
            ("a,y\n1,1e300\n", "column `y`: 1e300 is beyond 3.4028235e38, the largest float32"),
            ("a,y\n1,\n", "line 2, column `y`: the field is empty"),
            ("a,y\n1,x\n3,\n", "line 3, column `y`: the field is empty; every row needs a class"),
            ("a,y\n1,2\n  \n\n", "line 3 has 1 field,"),
            ("a,y\n1,2\n3\n", "line 3 has 1 field, the header has 2"),
            ("a,y\n1,2\n3,4,5\n", "line 3 has 3 fields, the header has 2"),
            ("a,Y\n1,2\n", "unknown column `y`. Did you mean `Y`? Known: a, Y."),
            ("a;y\n1;2\n", "Columns must be separated by commas"),
            ("y,a,y\n1,2,3\n", "two columns called `y`"),
            ("y\n1\n", "no column besides the target"),
            ("", "is empty"),
            ("\n\n", "is empty"),
            ("a,y\n", "no rows"),
            ("1,2\n3,4\n", "only numbers on its first line"),
        ] {
            let message = error(text, "y");
            assert!(message.contains(expected), "{text:?}: {message}");
        }
        let message = error(b"a,y\n\xff\x00,1\n", "y");
        assert!(message.contains("`\u{fffd}\\0` is not a number"), "{message}");
        let message = error(b"a,y\n1,z\n2,\xff\n", "y");
        assert!(message.contains("line 3, column `y`") && message.contains("UTF-8"), "{message}");
        let message = error(format!("a,y\n{},1\n", "z".repeat(1000)), "y");
        assert!(message.len() < 200, "{message}");
        let message = read_csv("no/such.csv", &CsvColumns::new("y")).unwrap_err().to_string();
        assert!(message.contains("no/such.csv: cannot be read"), "{message}");
    }

    #[test]
    fn known_columns_are_found_by_name() {
        let read = |text: &str, features: &[&str]| {
            let features = features.iter().map(|name| name.to_string()).collect();
            read_csv_bytes(text.as_bytes(), &CsvColumns::new("y").features(features))
        };
        let data = read("b,y,a\n2,0,1\n4,1,3\n", &["a", "b"]).unwrap();
        assert_eq!(data.x.to_vec2::<f32>().unwrap(), [[1., 2.], [3., 4.]]);
        assert_eq!(data.y.to_vec1::<i64>().unwrap(), [0, 1]);
        assert_eq!(data.feature_names, ["a", "b"]);
        let error = |text: &str| read(text, &["a", "b"]).unwrap_err().to_string();
        let text = error("b,y\n2,0\n");
        assert!(text.contains("it lacks the column a; give it the same columns"), "{text}");
        let text = error("a,b,y,extra,more\n1,2,0,3,4\n");
        assert!(text.contains("it has besides the columns extra, more;"), "{text}");
        let text = error("a,a,y,b\n1,2,0,3\n");
        assert!(text.contains("two columns called `a`"), "{text}");
    }

    /// "12 " and 12, " b" and "b" are the same; nothing in the values tells that they were not.
    #[test]
    fn fields_are_trimmed() {
        let data = ok("a , kind\n 1\t,b \n2, b\n3,\" b\"\n4,c\n", "kind");
        assert_eq!(data.class_names.unwrap(), ["b", "c"]);
        assert_eq!(data.y.to_vec1::<i64>().unwrap(), [0, 0, 0, 1]);
        assert_eq!(data.x.to_vec2::<f32>().unwrap(), [[1.], [2.], [3.], [4.]]);
        assert_eq!(data.feature_names, ["a"]);
    }

    #[test]
    fn whole_numbers_stay_exact() {
        let y = |text: &str| ok(text, "y").y.to_vec1::<i64>().unwrap();
        assert_eq!(y("a,y\n1,9007199254740993\n1,2.0\n"), [9_007_199_254_740_993, 2]);
    }

    #[test]
    fn messages_about_wide_files_are_short() {
        let header: Vec<String> = (0..5000).map(|i| format!("c\u{7}{i}")).collect();
        let text = error(format!("{}\n", header.join(",")), "y");
        assert!(text.len() < 300 && text.contains("and 4992 more"), "{text}");
        assert!(!text.contains('\u{7}'));
    }
}
