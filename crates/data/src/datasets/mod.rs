//! Built-in data sets, small enough to live in the library: known data for a first run, for tests
//! and for examples. `files/README.md` holds their sources and licences.
//!
//! Separation of concerns: each set's file knows its bytes; this one makes tensors and splits.

mod blobs;
mod breast_cancer;
mod diabetes;
mod digits;
mod iris;
mod table;

pub use blobs::{Blobs, BlobsName};

use crate::messages::unknown;
use crate::split::{Split, random_split, stratified_split, take_rows};
use crate::{Standardizer, ToTensor};
use sconce_core::{Config, ConfigValue, Device, Error, Result, Tensor};

/// The part of a data set that is held out as `test`.
pub(crate) const HELD_OUT: f64 = 0.2;

/// Arrays to train on, to evaluate with or to predict from.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// The inputs, each [rows, ...].
    pub x: Vec<Tensor>,
    /// The names of the inputs, where they were given by name.
    pub x_names: Option<Vec<String>>,
    /// The targets of each output [rows, ...]: `I64` for classes. Empty to predict.
    pub y: Vec<Tensor>,
    /// The names of the outputs, where targets were given by name.
    pub y_names: Option<Vec<String>>,
    /// For each output a weight for each row `[rows]`; empty for none.
    pub sample_weight: Vec<Option<Tensor>>,
    /// What the classes in `y` stand for, where they have names.
    pub class_names: Option<Vec<String>>,
    /// The names of the columns of `x` [rows, columns], where they have names.
    pub feature_names: Option<Vec<String>>,
}

impl Dataset {
    /// The given rows of every array, in that order; all of them for `None`.
    pub(crate) fn take(self, rows: Option<&[u32]>) -> Result<Self> {
        let Some(rows) = rows else { return Ok(self) };
        let take = |array: &Tensor| take_rows(array, rows);
        let weight = |weight: &Option<Tensor>| weight.as_ref().map(take).transpose();
        Ok(Self {
            x: self.x.iter().map(take).collect::<Result<_>>()?,
            y: self.y.iter().map(take).collect::<Result<_>>()?,
            sample_weight: self.sample_weight.iter().map(weight).collect::<Result<_>>()?,
            ..self
        })
    }

    /// The same with every input standardised, if there are statistics.
    pub(crate) fn standardized(mut self, statistics: Option<&Standardizer>) -> Result<Self> {
        if let Some(statistics) = statistics {
            self.x = self.x.iter().map(|x| statistics.apply(x)).collect::<Result<_>>()?;
        }
        Ok(self)
    }

    /// Puts arrays that have names into the order of a model's inputs and outputs. Those without
    /// stay in the order they were given in.
    ///
    /// # Errors
    /// A name that the model does not have, or one of the model's that is not given.
    pub fn in_order_of(mut self, inputs: &[&str], outputs: &[&str]) -> Result<Self> {
        if let Some(names) = self.x_names.take() {
            let places = places("input", "x", &names, inputs)?;
            self.x = places.iter().filter_map(|place| self.x.get(*place).cloned()).collect();
            self.x_names = Some(inputs.iter().map(|name| name.to_string()).collect());
        }
        if let Some(names) = self.y_names.take() {
            let places = places("output", "y", &names, outputs)?;
            let weights = std::mem::take(&mut self.sample_weight);
            self.y = places.iter().filter_map(|place| self.y.get(*place).cloned()).collect();
            self.sample_weight =
                places.iter().filter_map(|place| weights.get(*place).cloned()).collect();
            self.y_names = Some(outputs.iter().map(|name| name.to_string()).collect());
        }
        Ok(self)
    }
}

/// Where among the `given` names each of the model's is.
fn places(kind: &str, key: &str, given: &[String], model: &[&str]) -> Result<Vec<usize>> {
    if let Some(foreign) = given.iter().find(|name| !model.contains(&name.as_str())) {
        return Err(Error::config(key, unknown(kind, foreign, model)));
    }
    let place = |name: &&str| {
        given.iter().position(|given| given == name).ok_or_else(|| {
            Error::config(key, format!("the {kind} `{name}` of the model is missing"))
        })
    };
    model.iter().map(place).collect()
}

/// Which rows of a data set: a fifth, chosen once and for all, is held out as `test`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum Part {
    /// Four fifths of the rows, in a fixed random order.
    Train,
    /// The fifth that is not in `train`; each class has its share.
    Test,
    /// Every row, in the order of the source.
    #[default]
    All,
}

impl Part {
    /// The rows of this part; `None` for all.
    pub(crate) fn rows(self, split: impl FnOnce() -> Result<Split>) -> Result<Option<Vec<u32>>> {
        Ok(match self {
            Self::Train => Some(split()?.train),
            Self::Test => Some(split()?.validation),
            Self::All => None,
        })
    }
}

/// The name of a built-in data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ConfigValue)]
pub enum BuiltinName {
    /// Handwritten digits: x [1797, 64] pixels from 0 to 16 (8 x 8, row by row), y `[1797]` from 0 to 9.
    Digits,
    /// Iris flowers: x [150, 4] lengths in cm, y `[150]` one of 3 species.
    Iris,
    /// Breast tumours: x [569, 30] measures of cells, y `[569]` malignant (0) or benign (1).
    BreastCancer,
    /// Diabetes patients: x [442, 10] centred features of norm 1, y `[442]` the progression of the
    /// disease (a regression).
    Diabetes,
}

/// The names that `"dataset"` may have.
pub(crate) const NAMES: [&str; 5] = ["digits", "iris", "breast_cancer", "diabetes", "blobs"];

/// A built-in data set: x [rows, features] `F32`, y `[rows]` `I64` classes (`F32` for `diabetes`).
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(value)]
pub struct Builtin {
    /// Its name.
    pub dataset: BuiltinName,
    /// Which of its rows.
    #[config(default)]
    pub split: Part,
    /// Standardise each feature, by its mean and deviation over the `train` rows (over all rows for
    /// `all`): (x - mean) / deviation.
    #[config(default = false)]
    pub standardize: bool,
}

impl Builtin {
    /// Makes the tensors.
    ///
    /// # Errors
    /// None but those of the tensor runtime.
    pub fn load(&self) -> Result<Dataset> {
        let (data, statistics) = self.load_unscaled()?;
        data.standardized(statistics.as_ref())
    }

    /// The features as they are, and the statistics to standardise them with.
    pub(crate) fn load_unscaled(&self) -> Result<(Dataset, Option<Standardizer>)> {
        let table = match self.dataset {
            BuiltinName::Digits => digits::load(),
            BuiltinName::Iris => iris::load(),
            BuiltinName::BreastCancer => breast_cancer::load(),
            BuiltinName::Diabetes => diabetes::load(),
        };
        let rows = table.x.len() / table.features.max(1);
        let split = || match &table.target {
            Target::Classes(classes, _) => stratified_split(classes, HELD_OUT, 0),
            Target::Values(_) => random_split(rows, HELD_OUT, 0),
        };
        let x = Tensor::from_slice(&table.x, (rows, table.features), &Device::Cpu)?;
        let statistics = match (self.standardize, self.split) {
            (false, _) => None,
            (true, Part::All) => Some(Standardizer::of(&x)?),
            (true, _) => Some(Standardizer::of(&take_rows(&x, &split()?.train)?)?),
        };
        let (y, class_names) = match &table.target {
            Target::Classes(classes, names) => {
                (classes.to_tensor()?, Some(names.iter().map(|name| name.to_string()).collect()))
            }
            Target::Values(values) => (values.to_tensor()?, None),
        };
        let all = Dataset { x: vec![x], y: vec![y], class_names, ..Dataset::default() };
        Ok((all.take(self.split.rows(split)?.as_deref())?, statistics))
    }
}

/// What a set's file gives: x row by row, and a target for each row.
struct Table {
    x: Vec<f32>,
    features: usize,
    target: Target,
}

enum Target {
    /// The class of each row, and the names of the classes.
    Classes(Vec<i64>, &'static [&'static str]),
    Values(Vec<f32>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(serde::Deserialize)]
    struct Facts {
        shape: (usize, usize),
        column_sums: Vec<f64>,
        target_sum: f64,
        weighted_target_sum: f64,
        rows: BTreeMap<usize, Vec<f64>>,
        last_row_scaled_by_first_half: Vec<f64>,
        class_names: Option<Vec<String>>,
    }

    const ALL: [BuiltinName; 4] =
        [BuiltinName::Digits, BuiltinName::Iris, BuiltinName::BreastCancer, BuiltinName::Diabetes];

    fn part(dataset: BuiltinName, split: Part) -> (Vec<Vec<f32>>, Vec<f64>) {
        let data = Builtin { dataset, split, standardize: false }.load().unwrap();
        let y = data.y[0].to_dtype(sconce_core::DType::F64).unwrap();
        (data.x[0].to_vec2().unwrap(), y.to_vec1().unwrap())
    }

    fn name(dataset: BuiltinName) -> String {
        dataset.to_json().unwrap().as_str().unwrap().to_string()
    }

    /// scikit-learn's copies (make_datasets.py), as f32.
    #[test]
    fn the_values_are_those_of_scikit_learn() {
        let golden: BTreeMap<String, Facts> =
            serde_json::from_str(include_str!("../../tests/golden/datasets.json")).unwrap();
        for dataset in ALL {
            let facts = &golden[&name(dataset)];
            let (x, y) = part(dataset, Part::All);
            assert_eq!((x.len(), x[0].len()), facts.shape);
            for (column, sum) in facts.column_sums.iter().enumerate() {
                let ours: f64 = x.iter().map(|row| f64::from(row[column])).sum();
                let scale: f64 = x.iter().map(|row| f64::from(row[column].abs())).sum();
                assert!((ours - sum).abs() <= 1e-6 * scale, "{dataset:?} {column}: {ours} {sum}");
            }
            assert_eq!(y.iter().sum::<f64>(), facts.target_sum);
            let weighted: f64 = y.iter().enumerate().map(|(i, v)| i as f64 * v).sum();
            assert_eq!(weighted, facts.weighted_target_sum);
            for (row, values) in &facts.rows {
                let (target, features) = values.split_last().unwrap();
                let wanted: Vec<f32> = features.iter().map(|v| *v as f32).collect();
                assert_eq!((&x[*row], y[*row]), (&wanted, *target), "{dataset:?} {row}");
            }
            let data = Builtin::new(dataset).load().unwrap();
            assert_eq!(data.class_names, facts.class_names);
            // As scikit-learn's StandardScaler, fitted to the first half.
            let half = data.x[0].narrow(0, 0, x.len() / 2).unwrap();
            let scaled = Standardizer::of(&half).unwrap().apply(&data.x[0]).unwrap();
            let last = scaled.to_vec2::<f32>().unwrap().pop().unwrap();
            for (ours, wanted) in last.iter().zip(&facts.last_row_scaled_by_first_half) {
                assert!((f64::from(*ours) - wanted).abs() < 2e-5, "{dataset:?} {ours} {wanted}");
            }
        }
    }

    #[test]
    fn test_rows_are_never_in_train() {
        let key =
            |x: &[f32], y: f64| (x.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), y.to_bits());
        let keys = |(x, y): (Vec<Vec<f32>>, Vec<f64>)| {
            let mut keys: Vec<_> = x.iter().zip(y).map(|(x, y)| key(x, y)).collect();
            keys.sort();
            keys
        };
        for dataset in ALL {
            let (all, train, test) = (
                keys(part(dataset, Part::All)),
                keys(part(dataset, Part::Train)),
                keys(part(dataset, Part::Test)),
            );
            assert_eq!(train.len(), (0.8 * all.len() as f64) as usize);
            let mut both = [train, test].concat();
            both.sort();
            assert_eq!(both, all, "{dataset:?}");
            let (_, y) = part(dataset, Part::Test);
            if dataset == BuiltinName::Iris {
                assert_eq!([0., 1., 2.].map(|c| y.iter().filter(|y| **y == c).count()), [10; 3]);
            }
        }
    }

    /// The split is fixed for good: published scores depend on it.
    #[test]
    fn the_split_stays_as_it_is() {
        let labels = |dataset| part(dataset, Part::Test).1[..8].to_vec();
        assert_eq!(labels(BuiltinName::Digits), [4., 1., 9., 2., 3., 0., 5., 4.]);
        assert_eq!(labels(BuiltinName::Diabetes), [167., 185., 172., 96., 233., 219., 42., 265.]);
    }

    #[test]
    fn train_statistics_standardise_both_parts() {
        let load = |split, standardize| {
            Builtin { dataset: BuiltinName::BreastCancer, split, standardize }.load().unwrap()
        };
        let statistics = Standardizer::of(&load(Part::Train, false).x[0]).unwrap();
        for split in [Part::Train, Part::Test] {
            let wanted = statistics.apply(&load(split, false).x[0]).unwrap();
            let ours = load(split, true).x[0].to_vec2::<f32>().unwrap();
            assert_eq!(ours, wanted.to_vec2::<f32>().unwrap());
        }
    }

    fn blobs(rows: usize, seed: u64, split: Part) -> Dataset {
        let spec = Blobs { dataset: BlobsName::Blobs, rows, features: 5, classes: 4, seed, split };
        spec.load().unwrap()
    }

    #[test]
    fn blobs_are_normal_around_their_centres() {
        let data = blobs(40_000, 3, Part::All);
        let (x, y) = (&data.x[0].to_vec2::<f32>().unwrap(), data.y[0].to_vec1::<i64>().unwrap());
        assert_eq!((x.len(), x[0].len(), y.len()), (40_000, 5, 40_000));
        for class in 0..4 {
            let rows = || x.iter().zip(&y).filter(|(_, y)| **y == class).map(|(x, _)| x);
            let count = rows().count() as f64;
            assert!((count - 10_000.0).abs() < 400.0);
            for feature in 0..5 {
                let values = || rows().map(|row| f64::from(row[feature]));
                let mean = values().sum::<f64>() / count;
                let moment = |k| values().map(|v| (v - mean).powi(k)).sum::<f64>() / count;
                assert!((moment(2) - 1.0).abs() < 0.06, "{}", moment(2));
                assert!(moment(3).abs() < 0.12, "{}", moment(3));
                assert!((moment(4) - 3.0).abs() < 0.4, "{}", moment(4));
                assert!(mean.abs() < 4.0);
            }
        }
    }

    #[test]
    fn blobs_repeat_and_split() {
        let x = |seed, split| blobs(500, seed, split).x[0].to_vec2::<f32>().unwrap();
        assert_eq!(x(1, Part::All), x(1, Part::All));
        assert_ne!(x(1, Part::All), x(2, Part::All));
        assert_eq!((x(1, Part::Train).len(), x(1, Part::Test).len()), (400, 100));
        let error = Blobs { rows: 0, ..spec() }.load().unwrap_err().to_string();
        assert!(
            error.contains("at `rows`: must be a whole number from 1 to 2147483648, found 0"),
            "{error}"
        );
        assert!(Blobs { classes: usize::MAX, ..spec() }.load().is_err());
        assert!(Blobs { rows: 1 << 30, features: 1 << 30, ..spec() }.load().is_err());
    }

    #[test]
    fn names_that_differ_from_the_model_s_are_refused() {
        let named = |x: &[&str], y: &[&str]| {
            let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
            let array = Tensor::zeros((2, 1), sconce_core::DType::F32, &Device::Cpu).unwrap();
            Dataset {
                x: vec![array.clone(); x.len()],
                x_names: Some(names(x)),
                y: vec![array; y.len()],
                y_names: Some(names(y)),
                ..Dataset::default()
            }
        };
        let error =
            |data: Dataset| data.in_order_of(&["a", "b"], &["out"]).unwrap_err().to_string();
        let text = error(named(&["b", "c"], &["out"]));
        assert!(text.contains("at `x`: unknown input `c`. Known: a, b."), "{text}");
        let text = error(named(&["b"], &["out"]));
        assert!(text.contains("at `x`: the input `a` of the model is missing"), "{text}");
        let text = error(named(&["b", "a"], &["outs"]));
        assert!(text.contains("at `y`: unknown output `outs`. Did you mean `out`?"), "{text}");
        let data = named(&["b", "a"], &["out"]).in_order_of(&["a", "b"], &["out"]).unwrap();
        assert_eq!(data.x_names.unwrap(), ["a", "b"]);
    }

    fn spec() -> Blobs {
        let (rows, seed, split) = (10, 0, Part::All);
        Blobs { dataset: BlobsName::Blobs, rows, features: 2, classes: 3, seed, split }
    }
}
