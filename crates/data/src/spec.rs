//! Where the arrays of a run come from, as run configurations state it.

mod arrays;
mod csv;

pub use arrays::{Arrays, Files};
pub use csv::{Csv, Standardize};

use crate::Standardizer;
use crate::datasets::{Blobs, Builtin, Dataset, NAMES};
use crate::messages::listed;
use sconce_core::registry::{nearest, unknown};
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{ConfigValue, Error, Json, Result};
use serde_json::json;
use std::path::Path;

/// Data of a run: a built-in data set, generated clusters, `.npy` files or a CSV file.
///
/// The key `dataset`, `x` or `csv` says which. File names are relative to the current directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatasetSpec {
    /// `{"dataset": "digits", "split": "train"}`
    Builtin(Builtin),
    /// `{"dataset": "blobs", "rows": 10000, "features": 32, "classes": 10, "seed": 0}`
    Blobs(Blobs),
    /// `{"x": "x.npy", "y": "y.npy"}`, `{"x": {"image": "a.npy", "age": "b.npy"}, "y": ["c.npy", "d.npy"]}`
    Arrays(Arrays),
    /// `{"csv": "data.csv", "target": "price"}`
    Csv(Csv),
}

impl ConfigValue for DatasetSpec {
    fn from_json(value: &Json) -> Result<Self> {
        let Json::Object(map) = value else {
            return Err(mismatch("an object with `dataset`, `x` or `csv`", value));
        };
        match map.get("dataset") {
            Some(Json::String(name)) if name == "blobs" => Blobs::from_json(value).map(Self::Blobs),
            Some(Json::String(name)) if NAMES.contains(&name.as_str()) => {
                Builtin::from_json(value).map(Self::Builtin)
            }
            Some(Json::String(name)) => {
                Err(Error::config("dataset", unknown("data set", name, NAMES)))
            }
            Some(other) => Err(mismatch("the name of a data set", other).under("dataset")),
            None if map.contains_key("csv") => Csv::from_json(value).map(Self::Csv),
            None if map.contains_key("x") => Arrays::from_json(value).map(Self::Arrays),
            None => {
                let keys = ["dataset", "x", "csv"];
                Err(match map.keys().find(|key| nearest(key, &keys).is_some()) {
                    Some(key) => Error::config(key.clone(), unknown("key", key, keys)),
                    None => Error::config("", "one of the keys `dataset`, `x` and `csv` is needed"),
                })
            }
        }
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::Builtin(builtin) => builtin.to_json(),
            Self::Blobs(blobs) => blobs.to_json(),
            Self::Arrays(arrays) => arrays.to_json(),
            Self::Csv(csv) => csv.to_json(),
        }
    }

    fn schema(definitions: &mut Definitions) -> Json {
        definitions.named("Dataset", |definitions| {
            json!({
                "description": "A built-in data set, generated clusters, `.npy` files or a CSV file.",
                "anyOf": [
                    definitions.config::<Builtin>(), definitions.config::<Blobs>(),
                    definitions.config::<Arrays>(), definitions.config::<Csv>(),
                ],
            })
        })
    }
}

impl DatasetSpec {
    /// Whether features are to be standardised.
    pub fn standardizes(&self) -> bool {
        match self {
            Self::Builtin(builtin) => builtin.standardize,
            Self::Blobs(_) | Self::Arrays(_) => false,
            Self::Csv(csv) => csv.standardize != Standardize::Flag(false),
        }
    }

    /// The files that are read.
    pub fn files(&self) -> Vec<&Path> {
        match self {
            Self::Builtin(_) | Self::Blobs(_) => Vec::new(),
            Self::Arrays(arrays) => arrays.files(),
            Self::Csv(csv) => csv.files(),
        }
    }
}

/// Reads or generates the arrays.
///
/// # Errors
/// A file that cannot be used, arrays of different lengths, sizes that are impossible.
pub fn load(spec: &DatasetSpec) -> Result<Dataset> {
    let (data, statistics) = load_unscaled(spec, None)?;
    data.standardized(statistics.as_ref())
}

/// As [`load`] or, with the data trained on, [`load_validation`], with the features as they are, and
/// the statistics to standardise them with where that is asked for.
///
/// # Errors
/// As [`load`] and [`load_validation`].
pub fn load_unscaled(
    spec: &DatasetSpec,
    train: Option<&Dataset>,
) -> Result<(Dataset, Option<Standardizer>)> {
    let (data, statistics) = match spec {
        DatasetSpec::Builtin(builtin) => builtin.load_unscaled()?,
        DatasetSpec::Blobs(blobs) => (blobs.load()?, None),
        DatasetSpec::Arrays(arrays) => (arrays.load()?, None),
        DatasetSpec::Csv(csv) => csv.load(train)?,
    };
    match (train.and_then(|train| train.class_names.as_ref()), &data.class_names) {
        (Some(train), Some(validation)) if train != validation => Err(Error::data(format!(
            "the training data has the classes {}, the validation data {}, so that their numbers \
             differ; they must be the same, in the same order",
            listed(train),
            listed(validation)
        ))),
        _ => Ok((data, statistics)),
    }
}

/// Reads the arrays to validate with, so that they fit what is trained on: the columns of a CSV file
/// are matched by name, in any order, and its classes are numbered as those trained on.
///
/// # Errors
/// As [`load`]; a CSV file that lacks a column trained on, or has another besides; classes that are
/// not those trained on.
pub fn load_validation(spec: &DatasetSpec, train: &Dataset) -> Result<Dataset> {
    let (validation, statistics) = load_unscaled(spec, Some(train))?;
    validation.standardized(statistics.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_core::Config;

    fn parse(value: Json) -> Result<DatasetSpec> {
        DatasetSpec::from_json(&value)
    }

    #[test]
    fn every_form_is_read_and_written_again() {
        for value in [
            json!({"dataset": "digits", "split": "train", "standardize": true}),
            json!({"dataset": "blobs", "rows": 10, "features": 2, "classes": 3, "seed": 7, "split": "all"}),
            json!({"x": "x.npy", "y": "y.npy"}),
            json!({"x": ["a.npy", "b.npy"], "y": "y.npy", "sample_weight": "w.npy"}),
            json!({"x": {"a": "a.npy", "b": "b.npy"}, "y": {"c": "c.npy"}, "sample_weight": {"c": "w.npy"}}),
            json!({"x": "x.npy", "y": ["a.npy", "b.npy"], "sample_weight": ["v.npy", "w.npy"]}),
            json!({"csv": "f.csv", "target": "t", "classes": ["b", "a"], "split": "test", "standardize": true}),
            json!({"csv": "f.csv", "target": "t", "split": "all", "standardize": "train.csv"}),
        ] {
            assert_eq!(parse(value.clone()).unwrap().to_json().unwrap(), value);
        }
        let short = parse(json!({"dataset": "iris"})).unwrap();
        assert_eq!(short, DatasetSpec::Builtin(Builtin::new(crate::datasets::BuiltinName::Iris)));
    }

    #[test]
    fn errors_carry_the_path_and_the_nearest_name() {
        #[derive(Debug, Config)]
        #[config(value)]
        struct Run {
            data: Data,
        }
        #[derive(Debug, Config)]
        #[config(value)]
        struct Data {
            train: DatasetSpec,
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
                "must be the name of a data set, found 3",
            ),
            (json!({"dataset": "iris", "splt": "all"}), "data.train.splt", "Did you mean `split`"),
            (
                json!({"dataset": "iris", "split": "tests"}),
                "data.train.split",
                "Did you mean `test`",
            ),
            (
                json!({"dataset": "iris", "standardize": "x"}),
                "data.train.standardize",
                "true or false",
            ),
            (json!({"dataset": "blobs", "rows": 3, "features": 2}), "data.train", "classes"),
            (
                json!({"dataset": "blobs", "rows": -3, "features": 2, "classes": 1}),
                "data.train.rows",
                "-3",
            ),
            (json!({"datset": "iris", "split": "all"}), "data.train.datset", "mean `dataset`"),
            (json!({"y": "y.npy"}), "data.train", "`dataset`, `x` and `csv`"),
            (json!({"x": 3}), "data.train.x", "the name of a file, a list of names, or an object"),
            (json!({"x": "x.npy", "y": {"a": 1}}), "data.train.y.a", "must be a string, found 1"),
            (json!({"x": "x.npy", "yy": "y.npy"}), "data.train.yy", "Did you mean `y`"),
            (json!({"csv": "f.csv"}), "data.train", "target"),
            (
                json!({"csv": "f.csv", "target": "t", "standardize": 1}),
                "data.train.standardize",
                "true, false or",
            ),
            (json!(["iris"]), "data.train", "must be an object with `dataset`"),
        ] {
            let error = Run::from_json(&json!({"data": {"train": value}})).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&format!("at `{path}`: ")) && text.contains(expected), "{text}");
            assert!(error.is_usage());
        }
        let empty = load(&parse(json!({"x": []})).unwrap()).unwrap_err().under("data");
        assert!(empty.to_string().contains("at `data.x`: is empty"), "{empty}");
        let blobs = json!({"dataset": "blobs", "rows": 1000000, "features": 1000000, "classes": 2});
        let error = load(&parse(blobs).unwrap()).unwrap_err().to_string();
        assert!(error.contains("at `rows`"), "{error}");
    }

    #[test]
    fn the_schema_describes_every_key() {
        let schema = sconce_core::schema::document(DatasetSpec::schema);
        assert_eq!(schema["$defs"]["Dataset"]["anyOf"].as_array().unwrap().len(), 4);
        for (name, key) in
            [("Builtin", "standardize"), ("Blobs", "rows"), ("Arrays", "x"), ("Csv", "target")]
        {
            let object = &schema["$defs"][name];
            assert_eq!(object["additionalProperties"], json!(false), "{name}");
            assert!(object["properties"][key]["description"].is_string(), "{name}.{key}");
        }
        assert_eq!(schema["$defs"]["Builtin"]["required"], json!(["dataset"]));
        // A path, a list of paths, or an object of paths.
        let forms = schema["$defs"]["Files"]["anyOf"].as_array().unwrap();
        let types: Vec<&str> = forms.iter().map(|form| form["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["string", "array", "object"]);
        assert_eq!(forms[2]["additionalProperties"], json!({"type": "string"}));
        // As `load`, which refuses an empty list or object.
        assert_eq!((&forms[1]["minItems"], &forms[2]["minProperties"]), (&json!(1), &json!(1)));
        for key in ["y", "sample_weight"] {
            let text = schema["$defs"]["Arrays"]["properties"][key].to_string();
            assert!(text.contains("#/$defs/Files"), "{key}: {text}");
        }
    }
}
