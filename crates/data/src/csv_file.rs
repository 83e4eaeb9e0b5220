//! CSV files with a header line, as features and a target.

use csv::{ByteRecord, Reader, ReaderBuilder, Trim};
use sconce_core::registry::unknown;
use sconce_core::{Device, Error, Result, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// The features and the target of a CSV file.
#[derive(Clone, Debug)]
pub struct CsvData {
    /// All columns but the target, in the file's order: [rows, columns - 1], `F32`.
    pub x: Tensor,
    /// The target: `[rows]`. `I64` for whole numbers and classes, else `F32`.
    pub y: Tensor,
    /// What the numbers of a target of text stand for; `None` for a numeric target.
    pub class_names: Option<Vec<String>>,
    /// The names of the columns of `x`.
    pub feature_names: Vec<String>,
}

/// Reads a comma-separated file with a header line; `target` names the column of `y`, every other
/// column must hold numbers.
///
/// A target is numeric if its first value is; its values are then `I64` if all of them are whole,
/// else `F32`. A target of text is turned into class indices, the classes in sorted order, or in the
/// order of `classes` if they are given: two files (training and validation) then agree even where
/// one of them lacks a class.
///
/// # Errors
/// Names the file, and where it can the line, the column and the text: a file that is missing, empty
/// or without a header; a target that is no column; a line with more or fewer fields than the header;
/// an empty field; a field that is not a finite number; a class that is not in `classes`.
pub fn read_csv(
    path: impl AsRef<Path>,
    target: &str,
    classes: Option<&[String]>,
) -> Result<CsvData> {
    let path = path.as_ref();
    let bytes =
        std::fs::read(path).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
    read(&bytes, target, classes).map_err(|message| Error::file(path, message))
}

/// As [`read_csv`], from the bytes of a file.
///
/// # Errors
/// As [`read_csv`].
pub fn read_csv_bytes(bytes: &[u8], target: &str, classes: Option<&[String]>) -> Result<CsvData> {
    read(bytes, target, classes).map_err(|message| Error::data(format!("the CSV data {message}")))
}

fn read(file: &[u8], target: &str, classes: Option<&[String]>) -> Result<CsvData, String> {
    let mut reader =
        ReaderBuilder::new().has_headers(true).flexible(true).trim(Trim::All).from_reader(file);
    let columns = header(&mut reader)?;
    let target_at = target_column(&columns, target)?;
    let mut targets = match classes {
        Some(classes) => Targets::among(classes)?,
        None => Targets::Unknown,
    };
    let mut x: Vec<f32> = Vec::new();
    let mut record = ByteRecord::new();
    let mut rows = 0usize;
    while reader.read_byte_record(&mut record).map_err(unreadable)? {
        let line = || line_of(&record, file);
        if record.len() != columns.len() {
            return Err(format!(
                "line {} has {} fields, the header has {}",
                line(),
                record.len(),
                columns.len()
            ));
        }
        for (i, (field, column)) in record.iter().zip(&columns).enumerate() {
            let at = |message| format!("line {}, column `{column}`: {message}", line());
            if i == target_at {
                targets.push(field).map_err(at)?;
            } else {
                x.push(number(field).map_err(at)?);
            }
        }
        rows += 1;
    }
    if rows == 0 {
        return Err("has a header line and no rows".into());
    }
    let feature_names: Vec<String> =
        columns.into_iter().enumerate().filter(|(i, _)| *i != target_at).map(|(_, c)| c).collect();
    let (y, class_names) = targets.finish();
    let tensor = |e: Error| format!("cannot be made a tensor: {e}");
    Ok(CsvData {
        x: Tensor::from_vec(x, (rows, feature_names.len()), &Device::Cpu)
            .map_err(|e| tensor(e.into()))?,
        y: y.map_err(tensor)?,
        class_names,
        feature_names,
    })
}

/// The line a record starts on. The reader's own count stands before blank lines, and before the end
/// of the line above.
fn line_of(record: &ByteRecord, file: &[u8]) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let rest = usize::try_from(position.byte()).ok().and_then(|at| file.get(at..));
    let ends = rest.unwrap_or_default().iter().take_while(|b| matches!(b, b'\r' | b'\n'));
    position.line() + ends.filter(|b| **b == b'\n').count() as u64
}

fn unreadable(error: csv::Error) -> String {
    format!("cannot be read: {error}")
}

fn header(reader: &mut Reader<&[u8]>) -> Result<Vec<String>, String> {
    let record = reader.byte_headers().map_err(unreadable)?;
    let columns: Vec<String> =
        record.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    if columns.is_empty() {
        return Err("is empty; a header line with the names of the columns comes first".into());
    }
    if record.iter().all(|name| number(name).is_ok()) {
        return Err(
            "has only numbers on its first line; that has to be a header with the names of \
                    the columns"
                .into(),
        );
    }
    Ok(columns)
}

fn target_column(columns: &[String], target: &str) -> Result<usize, String> {
    let mut places = columns.iter().enumerate().filter(|(_, c)| *c == target).map(|(i, _)| i);
    match (places.next(), places.next()) {
        (Some(_), Some(_)) => Err(format!("has two columns called `{target}`")),
        (Some(_), None) if columns.len() == 1 => {
            Err(format!("has no column besides the target `{target}`"))
        }
        (Some(at), None) => Ok(at),
        (None, _) => {
            let separator = match columns {
                [only] if only.contains([';', '\t']) => " Columns must be separated by commas.",
                _ => "",
            };
            let names = columns.iter().map(String::as_str);
            Err(format!("cannot be used: {}{separator}", unknown("column", target, names)))
        }
    }
}

/// A finite number; an error shows the text.
fn number(field: &[u8]) -> Result<f32, String> {
    let value = str::from_utf8(field).ok().and_then(|text| text.trim().parse::<f32>().ok());
    match value {
        Some(value) if value.is_finite() => Ok(value),
        Some(_) => Err(format!("{} is not a finite number", shown(field))),
        None if field.is_empty() => {
            Err("the field is empty; fill in missing values or remove the row".into())
        }
        None => Err(format!("{} is not a number", shown(field))),
    }
}

/// A field for a message: printable, and not the whole of a long text.
fn shown(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(field);
    let start: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    let dots = if text.chars().nth(40).is_some() { "..." } else { "" };
    format!("`{start}{dots}`")
}

/// The values of the target column so far.
enum Targets {
    /// No rows yet.
    Unknown,
    Numbers(Vec<f64>),
    /// Classes numbered as they are met; `given` if their names and order were.
    Classes {
        numbers: BTreeMap<String, i64>,
        rows: Vec<i64>,
        given: bool,
    },
}

impl Targets {
    fn among(classes: &[String]) -> Result<Self, String> {
        let numbers: BTreeMap<String, i64> = classes.iter().cloned().zip(0..).collect();
        if numbers.len() != classes.len() {
            return Err(format!("cannot be used with classes that repeat a name: {classes:?}"));
        }
        Ok(Self::Classes { numbers, rows: Vec::new(), given: true })
    }

    fn push(&mut self, field: &[u8]) -> Result<(), String> {
        match self {
            Self::Unknown => {
                // Even "nan" says that the column is meant to be numeric.
                let text = str::from_utf8(field).unwrap_or_default().trim();
                *self = if text.is_empty() || text.parse::<f64>().is_ok() {
                    Self::Numbers(Vec::new())
                } else {
                    Self::Classes { numbers: BTreeMap::new(), rows: Vec::new(), given: false }
                };
                self.push(field)
            }
            Self::Numbers(values) => {
                let value = number(field).map_err(|e| match values.is_empty() {
                    true => e,
                    false => format!("{e}, as the target's first is"),
                })?;
                let exact = str::from_utf8(field).ok().and_then(|text| text.trim().parse().ok());
                values.push(exact.unwrap_or(f64::from(value)));
                Ok(())
            }
            Self::Classes { numbers, rows, given } => {
                let name = str::from_utf8(field)
                    .map_err(|_| format!("{} is not valid UTF-8", shown(field)))?;
                if name.is_empty() {
                    return Err("the field is empty; every row needs a class".into());
                }
                let next = numbers.len() as i64;
                match numbers.get(name) {
                    Some(number) => rows.push(*number),
                    None if *given => {
                        return Err(unknown("class", name, numbers.keys().map(String::as_str)));
                    }
                    None => {
                        numbers.insert(name.to_string(), next);
                        rows.push(next);
                    }
                }
                Ok(())
            }
        }
    }

    /// y `[rows]` and the names of its classes.
    fn finish(self) -> (Result<Tensor>, Option<Vec<String>>) {
        use crate::ToTensor;
        match self {
            Self::Unknown => (Vec::<i64>::new().to_tensor(), None),
            Self::Numbers(values) => {
                // Every whole number up to 2^53 is exact in f64.
                let whole = |v: &f64| v.fract() == 0.0 && v.abs() <= 9_007_199_254_740_992.0;
                let y = if values.iter().all(whole) {
                    values.iter().map(|v| *v as i64).collect::<Vec<_>>().to_tensor()
                } else {
                    values.to_tensor()
                };
                (y, None)
            }
            Self::Classes { numbers, rows, given } => {
                let mut by_number: Vec<(i64, String)> =
                    numbers.into_iter().map(|(name, number)| (number, name)).collect();
                if given {
                    by_number.sort_unstable();
                    return (rows.to_tensor(), Some(names(by_number)));
                }
                // `by_number` is in the order of the names: each class moves to its place there.
                let mut place = vec![0i64; by_number.len()];
                for ((number, _), sorted) in by_number.iter().zip(0..) {
                    if let Some(place) = place.get_mut(*number as usize) {
                        *place = sorted;
                    }
                }
                let rows: Vec<i64> =
                    rows.iter().filter_map(|row| place.get(*row as usize).copied()).collect();
                (rows.to_tensor(), Some(names(by_number)))
            }
        }
    }
}

fn names(by_number: Vec<(i64, String)>) -> Vec<String> {
    by_number.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str, target: &str) -> CsvData {
        read_csv_bytes(text.as_bytes(), target, None).unwrap()
    }

    fn error(text: impl AsRef<[u8]>, target: &str) -> String {
        read_csv_bytes(text.as_ref(), target, None).unwrap_err().to_string()
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
        let data = read_csv_bytes(text.as_bytes(), "kind", Some(&classes)).unwrap();
        assert_eq!(data.y.to_vec1::<i64>().unwrap(), [3, 0, 3, 1]);
        assert_eq!(data.class_names.unwrap(), classes);
        let message = |classes: &[String]| {
            read_csv_bytes(text.as_bytes(), "kind", Some(classes)).unwrap_err().to_string()
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
            ("a,y\r1,0\r12x,1", "column `a`: `12x` is not a number"),
            ("a,y\n\"1\n2\",0\n", "line 2, column `a`: `1\\n2` is not a number"),
            ("a,y\n1,0\nnan,1\n", "line 3, column `a`: `nan` is not a finite number"),
            ("a,y\n1e99,1\n", "`1e99` is not a finite number"),
            ("a,y\n,1\n", "line 2, column `a`: the field is empty"),
            ("a,y\n1,2\n3,x\n", "column `y`: `x` is not a number, as the target's first is"),
            ("a,y\n1,nan\n", "column `y`: `nan` is not a finite number"),
            ("a,y\n1,1e300\n", "column `y`: `1e300` is not a finite number"),
            ("a,y\n1,\n", "line 2, column `y`: the field is empty"),
            ("a,y\n1,x\n3,\n", "line 3, column `y`: the field is empty; every row needs a class"),
            ("a,y\n1,2\n  \n\n", "line 3 has 1 fields"),
            ("a,y\n1,2\n3\n", "line 3 has 1 fields, the header has 2"),
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
        let message = read_csv("no/such.csv", "y", None).unwrap_err().to_string();
        assert!(message.contains("no/such.csv: cannot be read"), "{message}");
    }
}
