//! The parts of a run configuration.

use super::schema;
use crate::callbacks::Verbose;
use crate::compile::Compile;
use crate::fit::Fit;
use schemars::JsonSchema;
use sconce_core::{Json, Result};
use sconce_data::{DatasetSpec, Shuffle};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the model comes from.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ModelSource {
    /// The path of a `.json` file (a new model) or a `.keras` file (with its weights).
    File(PathBuf),
    /// Keras's JSON of a model, inline: `{"class_name": "Sequential", "config": {"layers": [..]}}`.
    Inline(serde_json::Map<String, Json>),
}

impl<'de> Deserialize<'de> for ModelSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::String(path) => Ok(Self::File(path.into())),
            Json::Object(model) => Ok(Self::Inline(model)),
            other => Err(serde::de::Error::custom(format!(
                "a model is Keras's JSON of it, or the path of a .json or .keras file, not {other}"
            ))),
        }
    }
}

/// Keras's `compile`, as [`Compile::from_json`] reads it.
#[derive(Clone, Debug)]
pub struct CompileSection(pub Compile);

impl<'de> Deserialize<'de> for CompileSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Json::deserialize(deserializer)?;
        Compile::from_json(&value).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Serialize for CompileSection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.to_json().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// The data of a run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataSection {
    /// To train on.
    pub train: DatasetSpec,
    /// To validate with after each epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<DatasetSpec>,
}

/// Keras's `fit`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FitSection {
    /// The number of the last epoch.
    pub epochs: usize,
    /// Rows in a batch; the last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// Whether rows are shuffled before each epoch: `true`, `false`, or `"batch"` (within batches).
    pub shuffle: ShuffleSpec,
    /// The seed of everything random: first weights, shuffling, dropout.
    pub seed: u64,
    /// The last part of the training rows (before any shuffling) that is held out for validation.
    pub validation_split: f64,
    /// Validates every so many epochs.
    pub validation_freq: usize,
    /// Rows in a batch of the validation; left out, as in training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_batch_size: Option<usize>,
    /// For each class, the weight of its samples' loss: `{"0": 1.0, "1": 2.5}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weight: Option<BTreeMap<i64, f32>>,
    /// The number of the first epoch, to go on with a run.
    pub initial_epoch: usize,
    /// Ends each epoch after so many batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_per_epoch: Option<usize>,
    /// Progress on stderr: `"auto"`, 0 (silent), 1 (a bar) or 2 (a line an epoch).
    #[schemars(schema_with = "schema::verbose")]
    pub verbose: Verbose,
}

impl Default for FitSection {
    fn default() -> Self {
        Self {
            epochs: 1,
            batch_size: 32,
            shuffle: ShuffleSpec(Shuffle::Rows),
            seed: 0,
            validation_split: 0.0,
            validation_freq: 1,
            validation_batch_size: None,
            class_weight: None,
            initial_epoch: 0,
            steps_per_epoch: None,
            verbose: Verbose::Auto,
        }
    }
}

impl FitSection {
    pub(super) fn to_fit(&self) -> Fit {
        let mut fit = Fit::new(self.epochs, self.batch_size)
            .seed(self.seed)
            .validation_freq(self.validation_freq)
            .initial_epoch(self.initial_epoch)
            .verbose(self.verbose);
        fit.shuffle = self.shuffle.0;
        fit.validation_batch_size = self.validation_batch_size;
        fit.class_weight = self.class_weight.clone();
        fit.steps_per_epoch = self.steps_per_epoch;
        fit.validation_split = self.validation_split;
        fit
    }
}

/// Keras's argument `shuffle`: `true`, `false` or `"batch"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShuffleSpec(pub Shuffle);

impl Serialize for ShuffleSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Shuffle::Off => serializer.serialize_bool(false),
            Shuffle::Rows => serializer.serialize_bool(true),
            Shuffle::Batch => serializer.serialize_str("batch"),
        }
    }
}

impl<'de> Deserialize<'de> for ShuffleSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Json::deserialize(deserializer)? {
            Json::Bool(false) => Shuffle::Off,
            Json::Bool(true) => Shuffle::Rows,
            Json::String(s) if s == "batch" => Shuffle::Batch,
            other => {
                return Err(serde::de::Error::custom(format!(
                    "shuffle is true, false or \"batch\", not {other}"
                )));
            }
        }))
    }
}

impl JsonSchema for ShuffleSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Shuffle".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"enum": [true, false, "batch"]})
    }
}

/// The files that a run writes; missing folders are made. Left out, a file is not written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutputSection {
    /// The trained model: a `.keras` file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// The values of every epoch: `{"history": {"loss": [..], ..}, "epoch": [..]}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<PathBuf>,
}
