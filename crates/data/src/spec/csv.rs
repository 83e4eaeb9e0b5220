//! A CSV file, as run configurations name it.

use crate::Standardizer;
use crate::csv_file::{CsvColumns, CsvData, read_csv};
use crate::datasets::{Dataset, HELD_OUT, Part};
use crate::split::{random_split, stratified_split, take_rows};
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{Config, ConfigValue, DType, Error, Json, Result, Tensor};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A CSV file with a header line: x [rows, columns - 1] of all columns but one, y `[rows]`.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(value)]
pub struct Csv {
    /// The file.
    pub csv: PathBuf,
    /// The column of y: numbers, or the names of classes.
    pub target: String,
    /// The classes that the target names, in the order of their numbers; left out: those in the
    /// file, sorted. State them where files for training and validation may differ in theirs.
    #[config(skip_none)]
    pub classes: Option<Vec<String>>,
    /// Which of the rows: a fixed random fifth is held out for `test` (stratified by class where the
    /// target is text, or whole numbers that occur ten times each on average).
    #[config(default)]
    pub split: Part,
    /// Standardise each feature: (x - mean) / deviation.
    #[config(default)]
    pub standardize: Standardize,
}

/// Where means and deviations come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standardize {
    /// `true`: the `train` rows of this file (all of them for the split `all`).
    Flag(bool),
    /// All rows of another CSV file: the one that the model is trained on.
    File(PathBuf),
}

impl Default for Standardize {
    fn default() -> Self {
        Self::Flag(false)
    }
}

impl ConfigValue for Standardize {
    fn from_json(value: &Json) -> Result<Self> {
        match value {
            Json::Bool(flag) => Ok(Self::Flag(*flag)),
            Json::String(file) => Ok(Self::File(file.into())),
            other => Err(mismatch("true, false or the name of the CSV file trained on", other)),
        }
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::Flag(flag) => flag.to_json(),
            Self::File(file) => file.to_json(),
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({"type": ["boolean", "string"]})
    }
}

impl Csv {
    pub(super) fn files(&self) -> Vec<&Path> {
        let statistics = match &self.standardize {
            Standardize::File(file) => Some(file.as_path()),
            Standardize::Flag(_) => None,
        };
        std::iter::once(self.csv.as_path()).chain(statistics).collect()
    }

    /// Reads the file; its columns and classes are those of `like`, if that has names for them.
    /// The features are as they are in the file; beside them the statistics to standardise them with.
    pub(super) fn load(&self, like: Option<&Dataset>) -> Result<(Dataset, Option<Standardizer>)> {
        let columns = CsvColumns {
            target: self.target.clone(),
            classes: self.classes.clone().or_else(|| like?.class_names.clone()),
            features: like.and_then(|like| like.feature_names.clone()),
        };
        let data = read_csv(&self.csv, &columns)?;
        let stratify = data.class_names.is_some() || has_classes(&data.y)?;
        let split = || match stratify {
            true => stratified_split(&data.y.to_vec1()?, HELD_OUT, 0),
            false => random_split(data.y.elem_count(), HELD_OUT, 0),
        };
        let in_file = |error: Error| match error {
            Error::Data { message } => Error::file(&self.csv, message),
            other => other,
        };
        let statistics = match (&self.standardize, self.split) {
            (Standardize::Flag(false), _) => None,
            (Standardize::Flag(true), Part::All) => Some(Standardizer::of(&data.x)?),
            (Standardize::Flag(true), _) => {
                let train = split().map_err(in_file)?.train;
                Some(Standardizer::of(&take_rows(&data.x, &train)?)?)
            }
            (Standardize::File(file), _) => Some(self.statistics(file, &data)?),
        };
        let rows = self.split.rows(split).map_err(in_file)?;
        let all = Dataset {
            x: vec![data.x],
            y: vec![data.y],
            class_names: data.class_names,
            feature_names: Some(data.feature_names),
            ..Dataset::default()
        };
        Ok((all.take(rows.as_deref())?, statistics))
    }

    /// Means and deviations of the same columns of another file, whatever their order in it.
    fn statistics(&self, file: &Path, data: &CsvData) -> Result<Standardizer> {
        let columns = CsvColumns {
            target: self.target.clone(),
            classes: self.classes.clone(),
            features: Some(data.feature_names.clone()),
        };
        Standardizer::of(&read_csv(file, &columns)?.x)
    }
}

/// Whether y `[rows]` are whole numbers that occur ten times each on average.
fn has_classes(y: &Tensor) -> Result<bool> {
    if y.dtype() != DType::I64 {
        return Ok(false);
    }
    let distinct: BTreeSet<i64> = y.to_vec1::<i64>()?.into_iter().collect();
    Ok(10 * distinct.len() <= y.elem_count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{DatasetSpec, load, load_validation};

    fn parse(value: Json) -> Result<DatasetSpec> {
        DatasetSpec::from_json(&value)
    }

    fn loaded(value: Json) -> Dataset {
        load(&parse(value).unwrap()).unwrap()
    }

    #[test]
    fn csv_files_are_split_and_standardised_alike() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name).display().to_string();
        let mut text = "a,kind\n".to_string();
        (0..50).for_each(|i| text += &format!("{i},{}\n", ["u", "v"][i % 2]));
        std::fs::write(file("t.csv"), text).unwrap();
        let part = |split: &str, standardize: Json| {
            loaded(
                json!({"csv": file("t.csv"), "target": "kind", "split": split, "standardize": standardize}),
            )
        };
        let values = |data: &Dataset| data.x[0].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let (train, test) = (part("train", json!(false)), part("test", json!(false)));
        let mut all = [values(&train), values(&test)].concat();
        all.sort_by(f32::total_cmp);
        assert_eq!(all, (0..50).map(|i| i as f32).collect::<Vec<_>>());
        assert_eq!(test.y[0].sum_all().unwrap().to_scalar::<i64>().unwrap(), 5);
        // Train and test are shifted and scaled by the same two numbers.
        let statistics = Standardizer::of(&train.x[0]).unwrap();
        for (name, raw) in [("train", &train.x[0]), ("test", &test.x[0])] {
            let wanted = statistics.apply(raw).unwrap().flatten_all().unwrap();
            assert_eq!(values(&part(name, json!(true))), wanted.to_vec1::<f32>().unwrap());
        }
        let mean: f32 = values(&part("all", json!(true))).iter().sum();
        assert!(mean.abs() < 1e-4);

        std::fs::write(file("v.csv"), "a,kind\n24.5,v\n39,v\n").unwrap();
        let other =
            loaded(json!({"csv": file("v.csv"), "target": "kind", "standardize": file("t.csv")}));
        let deviation = ((50f64 * 50. - 1.) / 12.).sqrt();
        assert_eq!(values(&other), [0.0, (14.5 / deviation) as f32]);
        let named = loaded(json!({"csv": file("v.csv"), "target": "kind", "classes": ["u", "v"]}));
        assert_eq!(named.y[0].to_vec1::<i64>().unwrap(), [1, 1]);

        std::fs::write(file("w.csv"), "b,kind\n1,v\n").unwrap();
        let error = |value| load(&parse(value).unwrap()).unwrap_err().to_string();
        let text =
            error(json!({"csv": file("t.csv"), "target": "kind", "standardize": file("w.csv")}));
        assert!(text.contains("w.csv: does not have the columns"), "{text}");
        let text = error(json!({"csv": file("w.csv"), "target": "kind", "split": "test"}));
        assert!(text.contains("w.csv: ") && text.contains("none for training"), "{text}");
    }

    #[test]
    fn validation_columns_and_classes_are_those_trained_on() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name).display().to_string();
        let write = |name: &str, text: &str| std::fs::write(file(name), text).unwrap();
        write("train.csv", "a,b,kind\n1,10,u\n2,20,v\n3,30,w\n");
        let train = loaded(json!({"csv": file("train.csv"), "target": "kind"}));
        let validation = |name: &str| {
            load_validation(&parse(json!({"csv": file(name), "target": "kind"})).unwrap(), &train)
        };
        // Columns in another order, and no `u`: on its own `v` would be 0.
        write("swapped.csv", "b,kind,a\n40,w,4\n50,v,5\n");
        let data = validation("swapped.csv").unwrap();
        assert_eq!(data.x[0].to_vec2::<f32>().unwrap(), [[4., 40.], [5., 50.]]);
        assert_eq!(data.y[0].to_vec1::<i64>().unwrap(), [2, 1]);
        write("foreign.csv", "a,c,kind\n1,1,u\n");
        let text = validation("foreign.csv").unwrap_err().to_string();
        assert!(text.contains("foreign.csv: does not have the columns of the training data"));
        assert!(text.contains("lacks the column b;") && text.contains("besides the column c;"));
        write("class.csv", "a,b,kind\n1,1,x\n");
        let text = validation("class.csv").unwrap_err().to_string();
        assert!(text.contains("line 2, column `kind`: unknown class `x`"), "{text}");
        let iris = parse(json!({"dataset": "iris"})).unwrap();
        let text = load_validation(&iris, &train).unwrap_err().to_string();
        assert!(text.contains("the classes u, v, w, the validation data setosa"), "{text}");
        let stated = json!({"csv": file("swapped.csv"), "target": "kind", "classes": ["w", "v"]});
        let text = load_validation(&parse(stated).unwrap(), &train).unwrap_err().to_string();
        assert!(text.contains("the validation data w, v"), "{text}");
    }
}
