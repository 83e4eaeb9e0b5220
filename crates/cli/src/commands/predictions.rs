//! Predictions on their way out: to `.npy` and `.csv` files, to stdout, as JSON.

use sconce::core::atomic::write_atomic;
use sconce::core::{DType, Error, Json, Result, Tensor};
use sconce::data::{CsvColumns, write_npy};
use std::path::Path;

/// What stands for stdout in the place of a file.
pub const STDOUT: &str = "-";

/// The predictions of one output.
pub struct Predictions<'a> {
    /// The name of the output.
    pub name: &'a str,
    /// `[rows, ..]`.
    pub values: &'a Tensor,
    /// What the model was trained on, if it says so and has one output.
    pub columns: Option<&'a CsvColumns>,
    /// Whether the values are probabilities.
    pub probabilities: bool,
}

impl Predictions<'_> {
    /// Writes them as the ending of the name says.
    pub fn write(&self, path: &Path) -> Result<()> {
        if path.as_os_str() == STDOUT {
            return crate::print(self.csv()?.trim_end());
        }
        match path.extension().is_some_and(|ending| ending == "csv") {
            true => {
                let text = self.csv()?;
                write_atomic(path, |sink| sink.write_all(text.as_bytes()))?;
            }
            false => write_npy(path, self.values)?,
        }
        crate::print(&format!("{}: {:?}", path.display(), self.values.dims()))
    }

    /// `{"name": [[..], ..]}` nested as the array is; what is not finite is null.
    pub fn json(&self) -> Result<Json> {
        nested(&self.numbers()?, self.values.dims()).ok_or_else(|| {
            Error::data(format!("the output `{}` has an impossible shape", self.name))
        })
    }

    fn numbers(&self) -> Result<Vec<f32>> {
        Ok(self.values.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?)
    }

    /// A column for each value of a row, after a header; before them the name of the class, if the
    /// model knows the names.
    fn csv(&self) -> Result<String> {
        let failed = |e: csv::Error| Error::data(format!("cannot be written as CSV: {e}"));
        let rows = self.values.dims().first().copied().unwrap_or(0);
        let numbers = self.numbers()?;
        let width = numbers.len() / rows.max(1);
        let mut writer = csv::Writer::from_writer(Vec::new());
        let classes = self.classes(width);
        let class = classes.map(|(target, _)| target.to_string());
        let header: Vec<String> = class.into_iter().chain(self.header(width)).collect();
        writer.write_record(&header).map_err(failed)?;
        for row in numbers.chunks(width.max(1)) {
            let class = classes.map(|(_, names)| self.class_of(row, names).to_string());
            let fields = row.iter().map(f32::to_string);
            let fields: Vec<String> = class.into_iter().chain(fields).collect();
            writer.write_record(&fields).map_err(failed)?;
        }
        let bytes = writer.into_inner().map_err(|e| Error::data(e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| Error::data(e.to_string()))
    }

    /// The target and the names of its classes, if a row of this width says which class it is.
    fn classes(&self, width: usize) -> Option<(&str, &[String])> {
        let CsvColumns { target, classes, .. } = self.columns?;
        let names = classes.as_deref()?;
        (names.len() == width || names.len() == 2 && width == 1).then_some((target, names))
    }

    fn class_of<'n>(&self, row: &[f32], names: &'n [String]) -> &'n str {
        let class = match row {
            [one] => usize::from(*one > if self.probabilities { 0.5 } else { 0.0 }),
            // The first of equal ones, as argmax.
            _ => (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0),
        };
        names.get(class).map_or("", String::as_str)
    }

    fn header(&self, width: usize) -> Vec<String> {
        match (self.columns, self.classes(width)) {
            (_, Some((_, names))) if names.len() == width => names.to_vec(),
            (Some(columns), None) if width == 1 => vec![columns.target.clone()],
            _ if width == 1 => vec![self.name.to_string()],
            _ => (0..width).map(|i| format!("{}_{i}", self.name)).collect(),
        }
    }
}

/// Numbers in row-major order as nested lists.
fn nested(numbers: &[f32], dims: &[usize]) -> Option<Json> {
    let Some((first, rest)) = dims.split_first() else {
        return numbers.first().map(|value| Json::from(*value));
    };
    let size: usize = rest.iter().product();
    let item = |i: usize| nested(numbers.get(i * size..(i + 1) * size)?, rest);
    (0..*first).map(item).collect::<Option<Vec<_>>>().map(Json::Array)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce::core::Device;
    use serde_json::json;

    fn csv(values: &[&[f32]], columns: Option<&CsvColumns>) -> String {
        let values: Vec<Vec<f32>> = values.iter().map(|row| row.to_vec()).collect();
        let values = &Tensor::new(values, &Device::Cpu).unwrap();
        Predictions { name: "out", values, columns, probabilities: true }.csv().unwrap()
    }

    #[test]
    fn classes_have_names() {
        let columns =
            CsvColumns::new("kind").classes(vec!["a".into(), "b, or so".into(), "c".into()]);
        let text = csv(&[&[0.25, 0.5, 0.25], &[0.5, 0.5, 0.0]], Some(&columns));
        assert_eq!(text, "kind,a,\"b, or so\",c\n\"b, or so\",0.25,0.5,0.25\na,0.5,0.5,0\n");
        let two = CsvColumns::new("kind").classes(vec!["no".into(), "yes".into()]);
        assert_eq!(csv(&[&[0.75], &[0.25]], Some(&two)), "kind,out\nyes,0.75\nno,0.25\n");
        assert_eq!(csv(&[&[1.5]], Some(&CsvColumns::new("price"))), "price\n1.5\n");
        assert_eq!(csv(&[&[1.5, 2.0]], None), "out_0,out_1\n1.5,2\n");
    }

    #[test]
    fn json_is_nested_as_the_array() {
        let values = &Tensor::new(&[[[1f32], [f32::NAN]]], &Device::Cpu).unwrap();
        let out = Predictions { name: "out", values, columns: None, probabilities: false };
        assert_eq!(out.json().unwrap(), json!([[[1.0], [null]]]));
    }
}
