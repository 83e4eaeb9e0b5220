//! The parts of a run configuration.

use crate::callbacks::Verbose;
use crate::checkpoint::Checkpoint;
use crate::fit::Fit;
use sconce_core::json::Map;
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{Config, ConfigValue, Error, Json, Result};
use sconce_data::{DatasetSpec, Shuffle};
use sconce_model::Architecture;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the model comes from.
#[derive(Clone, Debug)]
pub enum ModelSource {
    /// The path of a `.json` file (a new model) or a `.keras` file (with its weights).
    File(PathBuf),
    /// Keras's JSON of a model, inline: `{"class_name": "Sequential", "config": {"layers": [..]}}`.
    Inline(Map),
}

impl ConfigValue for ModelSource {
    fn from_json(value: &Json) -> Result<Self> {
        match value {
            Json::String(path) => Ok(Self::File(path.into())),
            Json::Object(model) => Ok(Self::Inline(model.clone())),
            other => {
                let expected = "Keras's JSON of a model, or the path of a .json or .keras file";
                Err(mismatch(expected, other))
            }
        }
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::File(path) => path.to_json(),
            Self::Inline(model) => Ok(Json::Object(model.clone())),
        }
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({"anyOf": [
            {
                "description": "The path of a `.json` file (a new model) or a `.keras` file.",
                "type": "string",
            },
            Architecture::schema(definitions),
        ]})
    }
}

/// The checkpoints of a run.
#[derive(Clone, Debug, Default)]
pub enum CheckpointSetting {
    /// As [`Checkpoint::beside`] the model that the run writes; none if it writes none.
    #[default]
    Beside,
    /// None.
    Off,
    /// As stated.
    On(Checkpoint),
}

impl CheckpointSetting {
    /// The checkpoints of a run that writes this model.
    pub(super) fn checkpoint(&self, model: Option<&Path>) -> Option<Checkpoint> {
        match self {
            Self::Beside => model.map(Checkpoint::beside),
            Self::Off => None,
            Self::On(checkpoint) => Some(checkpoint.clone()),
        }
    }
}

impl ConfigValue for CheckpointSetting {
    fn from_json(value: &Json) -> Result<Self> {
        match value {
            Json::Null => Ok(Self::Beside),
            Json::Bool(false) => Ok(Self::Off),
            Json::Object(_) => Checkpoint::from_json(value).map(Self::On),
            other => {
                let expected = "an object such as {\"directory\": \"runs/checkpoints\", \"every_steps\": \
                                200}, or false";
                Err(mismatch(expected, other))
            }
        }
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::Beside => Ok(Json::Null),
            Self::Off => Ok(false.into()),
            Self::On(checkpoint) => checkpoint.to_json(),
        }
    }

    fn schema(definitions: &mut Definitions) -> Json {
        let stated = <Checkpoint as ConfigValue>::schema(definitions);
        json!({"anyOf": [stated, {"enum": [false, null]}]})
    }
}

/// The data of a run.
#[derive(Clone, Debug, Config)]
#[config(value)]
pub struct DataSection {
    /// To train on.
    pub train: DatasetSpec,
    /// To validate with after each epoch.
    #[config(skip_none)]
    pub validation: Option<DatasetSpec>,
}

/// Keras's `fit`.
#[derive(Clone, Debug, Config)]
#[config(value)]
pub struct FitSection {
    /// The number of the last epoch.
    #[config(default = 1, range = "[1, inf)")]
    pub epochs: usize,
    /// Rows in a batch; the last batch of an epoch may be smaller.
    #[config(default = 32, range = "[1, inf)")]
    pub batch_size: usize,
    /// Whether rows are shuffled before each epoch: `true`, `false`, or `"batch"` (within batches).
    #[config(default)]
    pub shuffle: Shuffle,
    /// The seed of everything random: first weights, shuffling, dropout.
    #[config(default = 0)]
    pub seed: u64,
    /// The last part of the training rows (before any shuffling) that is held out for validation.
    #[config(default = 0.0, range = "[0, 1)")]
    pub validation_split: f64,
    /// Validates every so many epochs.
    #[config(default = 1, range = "[1, inf)")]
    pub validation_freq: usize,
    /// Rows in a batch of the validation; left out, as in training.
    #[config(skip_none, range = "[1, inf)")]
    pub validation_batch_size: Option<usize>,
    /// For each class, the weight of its samples' loss: `{"0": 1.0, "1": 2.5}`.
    #[config(skip_none, with = class_weight)]
    pub class_weight: Option<BTreeMap<i64, f32>>,
    /// The number of the first epoch, to go on with a run.
    #[config(default = 0)]
    pub initial_epoch: usize,
    /// Ends each epoch after so many batches.
    #[config(skip_none, range = "[1, inf)")]
    pub steps_per_epoch: Option<usize>,
    /// Progress on stderr: `"auto"`, 0 (silent), 1 (a bar) or 2 (a line an epoch).
    #[config(default)]
    pub verbose: Verbose,
}

/// The key `class_weight`.
mod class_weight {
    use super::*;

    pub(super) fn from_json(value: &Json) -> Result<Option<BTreeMap<i64, f32>>> {
        let Some(weights) = Option::<BTreeMap<String, f32>>::from_json(value)? else {
            return Ok(None);
        };
        let class = |(name, weight): (String, f32)| match name.parse() {
            Ok(class) => Ok((class, weight)),
            Err(_) => Err(Error::config(&name, format!("must be a class index, found `{name}`"))),
        };
        weights.into_iter().map(class).collect::<Result<_>>().map(Some)
    }

    pub(super) fn to_json(value: &Option<BTreeMap<i64, f32>>) -> Result<Json> {
        let Some(weights) = value else { return Ok(Json::Null) };
        let text = |(class, weight): (&i64, &f32)| (class.to_string(), *weight);
        weights.iter().map(text).collect::<BTreeMap<_, _>>().to_json()
    }

    pub(super) fn schema(_: &mut Definitions) -> Json {
        json!({
            "type": ["object", "null"], "propertyNames": {"pattern": "^[+-]?[0-9]+$"},
            "additionalProperties": {"type": "number"},
        })
    }
}

impl FitSection {
    pub(super) fn to_fit(&self) -> Fit {
        let mut fit = Fit::new(self.epochs, self.batch_size)
            .seed(self.seed)
            .validation_freq(self.validation_freq)
            .initial_epoch(self.initial_epoch)
            .verbose(self.verbose);
        fit.shuffle = self.shuffle;
        fit.validation_batch_size = self.validation_batch_size;
        fit.class_weight = self.class_weight.clone();
        fit.steps_per_epoch = self.steps_per_epoch;
        fit.validation_split = self.validation_split;
        fit
    }
}

/// The files that a run writes; missing folders are made. Left out, a file is not written.
#[derive(Clone, Debug, Config)]
#[config(value)]
pub struct OutputSection {
    /// The trained model: a `.keras` file.
    #[config(skip_none)]
    pub model: Option<PathBuf>,
    /// The values of every epoch: `{"history": {"loss": [..], ..}, "epoch": [..]}`.
    #[config(skip_none)]
    pub history: Option<PathBuf>,
    /// The run as one page of HTML that needs nothing else: curves, mistakes, layers, configuration.
    #[config(skip_none)]
    pub report: Option<PathBuf>,
}
