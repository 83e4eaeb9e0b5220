//! Where the arrays of a run come from, as run configurations state it.

use crate::datasets::{Blobs, Builtin, Dataset, HELD_OUT, NAMES, Part};
use crate::split::{random_split, stratified_split};
use crate::{Standardizer, check, csv_file::read_csv, npy::read_npy};
use schemars::JsonSchema;
use sconce_core::registry::{nearest, unknown};
use sconce_core::{DType, Error, Json, Result, Tensor, json};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Data of a run: a built-in data set, generated clusters, `.npy` files or a CSV file.
///
/// The key `dataset`, `x` or `csv` says which. File names are relative to the current directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum DatasetSpec {
    /// `{"dataset": "digits", "split": "train"}`
    Builtin(Builtin),
    /// `{"dataset": "blobs", "rows": 10000, "features": 32, "classes": 10, "seed": 0}`
    Blobs(Blobs),
    /// `{"x": "x.npy", "y": "y.npy"}`
    Arrays(Arrays),
    /// `{"csv": "data.csv", "target": "price"}`
    Csv(Csv),
}

/// Arrays in `.npy` files, the first axis of each its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arrays {
    /// The file of the input, or a list of files for a model of several inputs.
    pub x: Files,
    /// The file of the targets; not needed to predict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<PathBuf>,
    /// The file of a weight for each row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_weight: Option<PathBuf>,
}

/// One file or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected the name of a file, or a list of names")]
pub enum Files {
    /// One file.
    One(PathBuf),
    /// Several files, in the order of the model's inputs.
    Many(Vec<PathBuf>),
}

/// A CSV file with a header line: x [rows, columns - 1] of all columns but one, y `[rows]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Csv {
    /// The file.
    pub csv: PathBuf,
    /// The column of y: numbers, or the names of classes.
    pub target: String,
    /// The classes that the target names, in the order of their numbers; left out: those in the
    /// file, sorted. State them where files for training and validation may differ in theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Which of the rows: a fixed random fifth is held out for `test` (stratified by class where the
    /// target is text, or whole numbers that occur ten times each on average).
    #[serde(default)]
    pub split: Part,
    /// Standardise each feature: (x - mean) / deviation.
    #[serde(default)]
    pub standardize: Standardize,
}

/// Where means and deviations come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected true, false or the name of the CSV file trained on")]
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

impl DatasetSpec {
    /// Reads a specification from JSON.
    ///
    /// # Errors
    /// An unknown data set, key or value (with the JSON path and the nearest valid name), a missing
    /// key.
    pub fn from_json(value: &Json) -> Result<Self> {
        let Json::Object(map) = value else {
            return Err(Error::config(
                "",
                format!("data is an object with `dataset`, `x` or `csv`, not {value}"),
            ));
        };
        let value = value.clone();
        match map.get("dataset") {
            Some(Json::String(name)) if name == "blobs" => json::parse(value).map(Self::Blobs),
            Some(Json::String(name)) if NAMES.contains(&name.as_str()) => {
                json::parse(value).map(Self::Builtin)
            }
            Some(Json::String(name)) => {
                Err(Error::config("dataset", unknown("data set", name, NAMES)))
            }
            Some(other) => Err(Error::config(
                "dataset",
                format!("expected the name of a data set, found {other}"),
            )),
            None if map.contains_key("csv") => json::parse(value).map(Self::Csv),
            None if map.contains_key("x") => json::parse(value).map(Self::Arrays),
            None => {
                let keys = ["dataset", "x", "csv"];
                Err(match map.keys().find(|key| nearest(key, &keys).is_some()) {
                    Some(key) => Error::config(key.clone(), unknown("key", key, keys)),
                    None => Error::config("", "one of the keys `dataset`, `x` and `csv` is needed"),
                })
            }
        }
    }
}

/// Reads or generates the arrays.
///
/// # Errors
/// A file that cannot be used, arrays of different lengths, sizes that are impossible.
pub fn load(spec: &DatasetSpec) -> Result<Dataset> {
    match spec {
        DatasetSpec::Builtin(builtin) => builtin.load(),
        DatasetSpec::Blobs(blobs) => blobs.load(),
        DatasetSpec::Arrays(arrays) => arrays.load(),
        DatasetSpec::Csv(csv) => csv.load(),
    }
}

impl<'de> Deserialize<'de> for DatasetSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Json::deserialize(deserializer)?;
        Self::from_json(&value).map_err(serde::de::Error::custom)
    }
}

impl Arrays {
    fn load(&self) -> Result<Dataset> {
        let files = match &self.x {
            Files::One(file) => std::slice::from_ref(file),
            Files::Many(files) => files.as_slice(),
        };
        if files.is_empty() {
            return Err(Error::config("x", "the list is empty; name at least one file"));
        }
        let x: Vec<Tensor> = files.iter().map(read_npy).collect::<Result<_>>()?;
        let y = self.y.as_ref().map(read_npy).transpose()?;
        let sample_weight = self.sample_weight.as_ref().map(read_npy).transpose()?;
        let named = files.iter().zip(&x).chain(self.y.iter().zip(&y));
        let named: Vec<(String, &Tensor)> = named
            .chain(self.sample_weight.iter().zip(&sample_weight))
            .map(|(file, array)| (file.display().to_string(), array))
            .collect();
        check::rows(named.iter().map(|(name, array)| (name.as_str(), *array)))?;
        Ok(Dataset { x, y, sample_weight, class_names: None })
    }
}

impl Csv {
    fn load(&self) -> Result<Dataset> {
        let data = read_csv(&self.csv, &self.target, self.classes.as_deref())?;
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
                Some(Standardizer::of(&crate::split::take_rows(&data.x, &train)?)?)
            }
            (Standardize::File(file), _) => Some(self.statistics(file, &data.feature_names)?),
        };
        let x = match statistics {
            Some(statistics) => statistics.apply(&data.x)?,
            None => data.x.clone(),
        };
        let rows = self.split.rows(split).map_err(in_file)?;
        let (y, class_names) = (Some(data.y.clone()), data.class_names.clone());
        Dataset { x: vec![x], y, sample_weight: None, class_names }.take(rows.as_deref())
    }

    fn statistics(&self, file: &Path, features: &[String]) -> Result<Standardizer> {
        let other = read_csv(file, &self.target, self.classes.as_deref())?;
        if other.feature_names != features {
            return Err(Error::file(
                file,
                format!(
                    "has the columns {:?}, but {} has {features:?}; means and deviations can only be \
                     taken from the same columns",
                    other.feature_names,
                    self.csv.display()
                ),
            ));
        }
        Standardizer::of(&other.x)
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

/// The two data sets number their classes alike.
///
/// # Errors
/// Different classes, as of two CSV files of which one lacks a class.
pub fn check_same_classes(train: &Dataset, validation: &Dataset) -> Result<()> {
    match (&train.class_names, &validation.class_names) {
        (Some(train), Some(validation)) if train != validation => Err(Error::data(format!(
            "the training data has the classes {train:?}, the validation data {validation:?}, so \
             that their numbers differ; state the classes in both: \"classes\": {}",
            Json::from(train.clone())
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ToTensor, write_npy};
    use serde_json::json;

    fn parse(value: Json) -> Result<DatasetSpec> {
        json::parse(value)
    }

    fn loaded(value: Json) -> Dataset {
        load(&parse(value).unwrap()).unwrap()
    }

    #[test]
    fn every_form_is_read_and_written_again() {
        for value in [
            json!({"dataset": "digits", "split": "train", "standardize": true}),
            json!({"dataset": "blobs", "rows": 10, "features": 2, "classes": 3, "seed": 7, "split": "all"}),
            json!({"x": "x.npy", "y": "y.npy"}),
            json!({"x": ["a.npy", "b.npy"], "y": "y.npy", "sample_weight": "w.npy"}),
            json!({"csv": "f.csv", "target": "t", "classes": ["b", "a"], "split": "test", "standardize": true}),
            json!({"csv": "f.csv", "target": "t", "split": "all", "standardize": "train.csv"}),
        ] {
            assert_eq!(serde_json::to_value(parse(value.clone()).unwrap()).unwrap(), value);
        }
        let short = parse(json!({"dataset": "iris"})).unwrap();
        assert_eq!(short, DatasetSpec::Builtin(Builtin::new(crate::datasets::BuiltinName::Iris)));
    }

    #[test]
    fn errors_carry_the_path_and_the_nearest_name() {
        #[derive(Debug, Deserialize)]
        struct Run {
            #[serde(rename = "data")]
            _data: Data,
        }
        #[derive(Debug, Deserialize)]
        struct Data {
            #[serde(rename = "train")]
            _train: DatasetSpec,
        }
        for (value, path, expected) in [
            (
                json!({"dataset": "digit"}),
                "data.train.dataset",
                "data set `digit`. Did you mean `digits`",
            ),
            (
                json!({"dataset": 3}),
                "data.train.dataset",
                "expected the name of a data set, found 3",
            ),
            (json!({"dataset": "iris", "splt": "all"}), "data.train.splt", "Did you mean `split`"),
            (
                json!({"dataset": "iris", "split": "tests"}),
                "data.train.split",
                "Did you mean `test`",
            ),
            (json!({"dataset": "iris", "standardize": "x"}), "data.train.standardize", "boolean"),
            (json!({"dataset": "blobs", "rows": 3, "features": 2}), "data.train", "classes"),
            (
                json!({"dataset": "blobs", "rows": -3, "features": 2, "classes": 1}),
                "data.train.rows",
                "-3",
            ),
            (json!({"datset": "iris", "split": "all"}), "data.train.datset", "mean `dataset`"),
            (json!({"y": "y.npy"}), "data.train", "`dataset`, `x` and `csv`"),
            (json!({"x": 3}), "data.train.x", "the name of a file, or a list of names"),
            (json!({"x": "x.npy", "yy": "y.npy"}), "data.train.yy", "Did you mean `y`"),
            (json!({"csv": "f.csv"}), "data.train", "target"),
            (
                json!({"csv": "f.csv", "target": "t", "standardize": 1}),
                "data.train.standardize",
                "true, false or",
            ),
            (json!(["iris"]), "data.train", "data is an object"),
        ] {
            let error = json::parse::<Run>(json!({"data": {"train": value}})).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&format!("at `{path}`: ")) && text.contains(expected), "{text}");
            assert!(error.is_usage());
        }
        let empty = load(&parse(json!({"x": []})).unwrap()).unwrap_err().under("data");
        assert!(empty.to_string().contains("at `data.x`: the list is empty"), "{empty}");
        let blobs = json!({"dataset": "blobs", "rows": 1000000, "features": 1000000, "classes": 2});
        let error = load(&parse(blobs).unwrap()).unwrap_err().to_string();
        assert!(error.contains("at `rows`"), "{error}");
    }

    #[test]
    fn npy_files_are_put_together() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name).display().to_string();
        write_npy(file("a.npy"), &[[1f32, 2.], [3., 4.]].to_tensor().unwrap()).unwrap();
        write_npy(file("y.npy"), &[0i64, 1].to_tensor().unwrap()).unwrap();
        write_npy(file("short.npy"), &[1f32].to_tensor().unwrap()).unwrap();
        let data =
            loaded(json!({"x": [file("a.npy"), file("y.npy")], "sample_weight": file("y.npy")}));
        assert_eq!(
            (data.x.len(), data.y.is_some(), data.sample_weight.is_some()),
            (2, false, true)
        );
        let spec = parse(json!({"x": file("a.npy"), "y": file("short.npy")})).unwrap();
        let error = load(&spec).unwrap_err().to_string();
        assert!(error.contains("a.npy has 2 rows") && error.contains("short.npy has 1"), "{error}");
        let error = load(&parse(json!({"x": file("no.npy")})).unwrap()).unwrap_err().to_string();
        assert!(error.contains("no.npy: cannot be read"), "{error}");
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
        assert_eq!(test.y.unwrap().sum_all().unwrap().to_scalar::<i64>().unwrap(), 5);
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
        // This file's only class is 0 for lack of the other.
        let error = check_same_classes(&train, &other).unwrap_err().to_string();
        assert!(error.contains("\"classes\": [\"u\",\"v\"]"), "{error}");
        let named = loaded(json!({"csv": file("v.csv"), "target": "kind", "classes": ["u", "v"]}));
        check_same_classes(&train, &named).unwrap();
        assert_eq!(named.y.unwrap().to_vec1::<i64>().unwrap(), [1, 1]);

        std::fs::write(file("w.csv"), "b,kind\n1,v\n").unwrap();
        let error = |value| load(&parse(value).unwrap()).unwrap_err().to_string();
        let text =
            error(json!({"csv": file("t.csv"), "target": "kind", "standardize": file("w.csv")}));
        assert!(text.contains("w.csv: has the columns [\"b\"]"), "{text}");
        let text = error(json!({"csv": file("w.csv"), "target": "kind", "split": "test"}));
        assert!(text.contains("w.csv: ") && text.contains("none for training"), "{text}");
    }

    #[test]
    fn the_schema_describes_every_key() {
        let schema = serde_json::to_value(schemars::schema_for!(DatasetSpec)).unwrap();
        assert_eq!(schema["anyOf"].as_array().unwrap().len(), 4);
        for (name, key) in
            [("Builtin", "standardize"), ("Blobs", "rows"), ("Arrays", "x"), ("Csv", "target")]
        {
            let object = &schema["$defs"][name];
            assert_eq!(object["additionalProperties"], json!(false), "{name}");
            assert!(object["properties"][key]["description"].is_string(), "{name}.{key}");
        }
        assert_eq!(schema["$defs"]["Builtin"]["required"], json!(["dataset"]));
    }
}
