//! Rows of a CSV file as numbers: where the columns are, what the target holds, and its values.

use super::records::Records;
use super::{CsvColumns, CsvTarget};
use crate::ToTensor;
use crate::messages::{count, listed, printable, shown, unknown};
use sconce_core::{Device, Result as TensorResult, Tensor};
use std::collections::{BTreeSet, HashMap};
use std::io::BufRead;

/// Every whole number up to 2^53 is exact in f64.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The records of a file, and which of their fields are what.
struct Table<R> {
    records: Records<R>,
    /// The columns as the header names them.
    names: Vec<String>,
    /// The place of the target; that of no column where there is none.
    target: usize,
    /// The place of each feature in a record.
    features: Vec<usize>,
}

impl<R: BufRead> Table<R> {
    fn open(reader: R, columns: &CsvColumns) -> Result<Self, String> {
        let (records, names) = header(reader)?;
        let target = target_column(&names, &columns.target)?;
        Self::of(records, names, target, columns.features.as_deref())
    }

    fn of(
        records: Records<R>,
        names: Vec<String>,
        target: usize,
        features: Option<&[String]>,
    ) -> Result<Self, String> {
        let features = match features {
            Some(features) => feature_columns(&names, target, features)?,
            None => (0..names.len()).filter(|i| *i != target).collect(),
        };
        Ok(Self { records, names, target, features })
    }

    /// Adds the features of the record at hand.
    fn features_to(&self, x: &mut Vec<f32>) -> Result<(), String> {
        for place in &self.features {
            let value = float(self.records.field(*place));
            x.push(value.map_err(|message| self.at(*place, message))?);
        }
        Ok(())
    }

    /// The next record, of as many fields as the header.
    fn next(&mut self) -> Result<bool, String> {
        if !self.records.next()? {
            return Ok(false);
        }
        if self.records.len() != self.names.len() {
            return Err(format!(
                "line {} has {}, the header has {}",
                self.records.first_line(),
                count(self.records.len(), "field"),
                self.names.len()
            ));
        }
        Ok(true)
    }

    fn at(&self, column: usize, message: String) -> String {
        let name = self.names.get(column).map(String::as_str).unwrap_or_default();
        format!("line {}, column `{}`: {message}", self.records.first_line(), printable(name))
    }

    fn feature_names(&self) -> Vec<String> {
        self.features.iter().filter_map(|i| self.names.get(*i).cloned()).collect()
    }
}

/// The records after the header line, and the names of the columns.
fn header<R: BufRead>(reader: R) -> Result<(Records<R>, Vec<String>), String> {
    let mut records = Records::new(reader)?;
    if !records.next()? {
        return Err("is empty; a header line with the names of the columns comes first".into());
    }
    let fields: Vec<&[u8]> = (0..records.len()).map(|i| records.field(i)).collect();
    if fields.iter().all(|name| number(name).is_ok()) {
        return Err("has only numbers on its first line; that has to be a header with the names \
                    of the columns"
            .into());
    }
    let names: Vec<String> =
        fields.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    Ok((records, names))
}

/// What a first pass over a file finds.
pub(crate) struct Scan {
    pub rows: usize,
    pub target: CsvTarget,
}

/// Reads a whole file for the type of its target and the number of its rows.
pub(crate) fn scan(reader: impl BufRead, columns: &CsvColumns) -> Result<Scan, String> {
    let mut table = Table::open(reader, columns)?;
    let mut found = match &columns.classes {
        Some(classes) => Found::Given(classes.clone()),
        None => Found::Nothing,
    };
    let mut rows = 0;
    while table.next()? {
        let field = table.records.field(table.target);
        found.see(field).map_err(|message| table.at(table.target, message))?;
        rows += 1;
    }
    if rows == 0 {
        return Err("has a header line and no rows".into());
    }
    Ok(Scan { rows, target: found.target() })
}

/// The type of a target column, as far as its values have been seen.
enum Found {
    Nothing,
    Numbers {
        whole: bool,
    },
    Classes(BTreeSet<String>),
    /// Stated by the user, so that the values need not say.
    Given(Vec<String>),
}

impl Found {
    fn see(&mut self, field: &[u8]) -> Result<(), String> {
        match self {
            Self::Given(_) => {}
            Self::Nothing => {
                // Even "nan" says that the column is meant to be numeric.
                let text = str::from_utf8(field).unwrap_or_default();
                *self = if text.is_empty() || text.parse::<f64>().is_ok() {
                    let whole = integer(&number(field)?, field).is_some();
                    Self::Numbers { whole }
                } else {
                    Self::Classes(BTreeSet::from([class_name(field)?.to_string()]))
                };
            }
            Self::Numbers { whole } => {
                let value = number(field).map_err(|e| format!("{e}, as the target's first is"))?;
                *whole &= integer(&value, field).is_some();
            }
            Self::Classes(names) => {
                let name = class_name(field)?;
                if !names.contains(name) {
                    names.insert(name.to_string());
                }
            }
        }
        Ok(())
    }

    fn target(self) -> CsvTarget {
        match self {
            Self::Nothing | Self::Numbers { whole: false } => CsvTarget::Floats,
            Self::Numbers { whole: true } => CsvTarget::Integers,
            Self::Classes(names) => CsvTarget::Classes(names.into_iter().collect()),
            Self::Given(names) => CsvTarget::Classes(names),
        }
    }
}

/// Reads the rows of a file, so many at a time.
pub(crate) struct Rows<R> {
    table: Table<R>,
    target: CsvTarget,
    classes: HashMap<String, i64>,
}

impl<R: BufRead> Rows<R> {
    /// # Errors
    /// A header that does not have the columns; classes that repeat a name.
    pub fn open(reader: R, columns: &CsvColumns, target: &CsvTarget) -> Result<Self, String> {
        let table = Table::open(reader, columns)?;
        let mut classes = HashMap::new();
        if let CsvTarget::Classes(names) = target {
            classes.extend(names.iter().cloned().zip(0..));
            if classes.len() != names.len() {
                let names = listed(names);
                return Err(format!("cannot be used with classes that repeat a name: {names}"));
            }
        }
        Ok(Self { table, target: target.clone(), classes })
    }

    pub fn feature_names(&self) -> Vec<String> {
        self.table.feature_names()
    }

    /// Goes past up to `most` rows, whose values are not looked at.
    pub fn skip(&mut self, most: usize) -> Result<(), String> {
        for _ in 0..most {
            if !self.table.next()? {
                break;
            }
        }
        Ok(())
    }

    /// Up to `most` rows: x [rows, features] and y `[rows]`; `None` at the end of the file.
    pub fn read(&mut self, most: usize) -> Result<Option<(Tensor, Tensor)>, String> {
        let (mut x, mut integers, mut floats) = (Vec::<f32>::new(), Vec::new(), Vec::new());
        let mut rows = 0;
        while rows < most && self.table.next()? {
            let table = &self.table;
            table.features_to(&mut x)?;
            let field = table.records.field(table.target);
            let value = match &self.target {
                CsvTarget::Floats => float(field).map(|value| floats.push(value)),
                CsvTarget::Integers => number(field).and_then(|value| {
                    let whole = integer(&value, field).map(|value| integers.push(value));
                    whole.ok_or_else(|| format!("{} is not a whole number", shown(field)))
                }),
                CsvTarget::Classes(names) => class_name(field).and_then(|name| {
                    let number = self.classes.get(name).map(|number| integers.push(*number));
                    number.ok_or_else(|| unknown("class", name, names))
                }),
            };
            value.map_err(|message| table.at(table.target, message))?;
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let tensors = || -> TensorResult<(Tensor, Tensor)> {
            let x = Tensor::from_vec(x, (rows, self.table.features.len()), &Device::Cpu)?;
            let y = if self.target == CsvTarget::Floats {
                floats.to_tensor()
            } else {
                integers.to_tensor()
            };
            Ok((x, y?))
        };
        tensors().map(Some).map_err(|error| format!("cannot be made a tensor: {error}"))
    }
}

/// The features of all rows, `[rows, features]`, and their names. The target may be among the columns.
pub(crate) fn features(
    reader: impl BufRead,
    target: Option<&str>,
    features: Option<&[String]>,
) -> Result<(Tensor, Vec<String>), String> {
    let (records, names) = header(reader)?;
    let target = names.iter().position(|name| Some(name.as_str()) == target);
    let mut table = Table::of(records, names, target.unwrap_or(usize::MAX), features)?;
    let (mut x, mut rows) = (Vec::new(), 0);
    while table.next()? {
        table.features_to(&mut x)?;
        rows += 1;
    }
    if rows == 0 {
        return Err("has a header line and no rows".into());
    }
    let x = Tensor::from_vec(x, (rows, table.features.len()), &Device::Cpu);
    let x = x.map_err(|error| format!("cannot be made a tensor: {error}"))?;
    Ok((x, table.feature_names()))
}

fn target_column(names: &[String], target: &str) -> Result<usize, String> {
    let mut places = names.iter().enumerate().filter(|(_, c)| *c == target).map(|(i, _)| i);
    match (places.next(), places.next()) {
        (Some(_), Some(_)) => Err(format!("has two columns called `{}`", printable(target))),
        (Some(_), None) if names.len() == 1 => {
            Err(format!("has no column besides the target `{}`", printable(target)))
        }
        (Some(at), None) => Ok(at),
        (None, _) => {
            let separator = match names {
                [only] if only.contains([';', '\t']) => " Columns must be separated by commas.",
                _ => "",
            };
            Err(format!("cannot be used: {}{separator}", unknown("column", target, names)))
        }
    }
}

/// The places of columns that are known by name: all of them, and no others, are in the file.
fn feature_columns(
    names: &[String],
    target: usize,
    features: &[String],
) -> Result<Vec<usize>, String> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (place, name) in names.iter().enumerate().filter(|(place, _)| *place != target) {
        if places.insert(name, place).is_some() {
            return Err(format!(
                "has two columns called `{}`, so that columns cannot be told apart by name",
                printable(name)
            ));
        }
    }
    let missing: Vec<&String> =
        features.iter().filter(|name| !places.contains_key(name.as_str())).collect();
    let found: Vec<usize> =
        features.iter().filter_map(|name| places.remove(name.as_str())).collect();
    let foreign: Vec<&String> = names
        .iter()
        .enumerate()
        .filter(|(place, name)| places.get(name.as_str()) == Some(place))
        .map(|(_, name)| name)
        .collect();
    if missing.is_empty() && foreign.is_empty() && found.len() == features.len() {
        return Ok(found);
    }
    let part = |what: &str, names: &[&String]| match names.len() {
        0 => String::new(),
        1 => format!(" {what} the column {};", listed(names)),
        _ => format!(" {what} the columns {};", listed(names)),
    };
    Err(format!(
        "does not have the columns of the training data:{}{} give it the same columns, in any order",
        part("it lacks", &missing),
        part("it has besides", &foreign)
    ))
}

/// A finite number; an error shows the text.
fn number(field: &[u8]) -> Result<f64, String> {
    let text = str::from_utf8(field).unwrap_or("?");
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) if text.contains(|c: char| c.is_ascii_digit()) => {
            Err(format!("{} is beyond {:e}, the largest number that fits", shown(field), f64::MAX))
        }
        Ok(_) => Err(format!("{} is not a finite number", shown(field))),
        Err(_) if field.is_empty() => {
            Err("the field is empty; fill in missing values or remove the row".into())
        }
        Err(_) => Err(format!("{} is not a number", shown(field))),
    }
}

/// A number that an f32 can hold.
fn float(field: &[u8]) -> Result<f32, String> {
    let value = number(field)?;
    // From the text, since by way of f64 it would be rounded twice.
    let rounded = str::from_utf8(field).ok().and_then(|text| text.parse::<f32>().ok());
    match rounded {
        Some(rounded) if rounded.is_finite() => Ok(rounded),
        _ => Err(format!(
            "{value:e} is beyond {:e}, the largest float32; scale the column down",
            f32::MAX
        )),
    }
}

/// The whole number that a field holds ("3", "3.0"), if it does.
fn integer(value: &f64, field: &[u8]) -> Option<i64> {
    let exact = str::from_utf8(field).ok().and_then(|text| text.parse::<i64>().ok());
    exact.or_else(|| (value.fract() == 0.0 && value.abs() <= EXACT).then_some(*value as i64))
}

fn class_name(field: &[u8]) -> Result<&str, String> {
    match str::from_utf8(field) {
        Ok("") => Err("the field is empty; every row needs a class".into()),
        Ok(name) => Ok(name),
        Err(_) => Err(format!("{} is not valid UTF-8", shown(field))),
    }
}
