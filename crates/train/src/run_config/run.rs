//! Carrying out a run configuration.

use super::standardize::standardized;
use super::{CheckpointSetting, DataSection, ModelSource, RunConfig, read_json};
use crate::callbacks::Callback;
use crate::checkpoint::{self, Checkpoint};
use crate::files::LoadOptions;
use crate::fit::{CancelToken, Fit, Validation, split_batch};
use crate::head::Head;
use crate::history::{History, Scores};
use crate::model::Model;
use crate::report::{self, Samples};
use sconce_core::atomic::{check_writable, write_atomic};
use sconce_core::{Config, Device, Dims, Error, FileSet, FirstValues, Json, Result, Spec};
use sconce_data::batches::steps_per_epoch;
use sconce_data::datasets::Dataset;
use sconce_data::spec::{DatasetSpec, load_unscaled};
use sconce_data::{Batch, CsvColumns, Standardizer};
use std::path::{Path, PathBuf};

/// A run with its data loaded and its model built and compiled, ready to train.
pub struct PreparedRun {
    /// The model.
    pub model: Model,
    config: RunConfig,
    train: Batch,
    validation: Option<Batch>,
    /// What classes and columns of the data stand for, where they have names.
    class_names: Option<Vec<String>>,
    feature_names: Option<Vec<String>>,
    cancel: CancelToken,
    resume: bool,
    callbacks: Vec<Box<dyn Callback>>,
}

/// What a run left.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The values of every epoch.
    pub history: History,
    /// Loss and metrics of the trained model on the validation data, if there is any.
    pub validation: Option<Scores>,
    /// Whether the run was ended by its token ([`PreparedRun::cancel_token`]). What it had made is
    /// written, and not scored.
    pub cancelled: bool,
}

impl RunConfig {
    /// Checks that the outputs can be written, loads the data, builds and compiles the model.
    ///
    /// # Errors
    /// Everything that can be found before training.
    pub fn prepare(&self, device: &Device) -> Result<PreparedRun> {
        self.fit.to_fit().check().map_err(|e| e.under("fit"))?;
        self.check_files()?;
        self.check_outputs()?;
        let prepared = self.load(device)?;
        if self.output.model.is_some() {
            prepared.model.check_can_be_saved().map_err(|e| e.under("output.model"))?;
        }
        Ok(prepared)
    }

    /// Loads the data, builds and compiles the model.
    fn load(&self, device: &Device) -> Result<PreparedRun> {
        let mut model = self.load_model(device)?;
        let (train, validation, statistics) = self.data.load()?;
        build(&mut model, &train)?;
        if let Some(statistics) = &statistics {
            model =
                standardized(model, statistics).map_err(|e| e.under("data.train.standardize"))?;
        }
        if let DatasetSpec::Csv(csv) = &self.data.train {
            model.set_csv_columns(Some(CsvColumns {
                target: csv.target.clone(),
                classes: train.class_names.clone(),
                features: train.feature_names.clone(),
            }));
        }
        match &self.compile {
            Some(compile) => {
                model.compile_with(compile.clone()).map_err(|e| e.under("compile"))?;
            }
            None if model.compiled.is_none() => {
                return Err(Error::config(
                    "",
                    "the key `compile` is missing, and the model brings no compile state of its own; add \
                     \"compile\": {\"optimizer\": \"adam\", \"loss\": \"mse\"}",
                ));
            }
            None => {}
        }
        let (class_names, feature_names) = (train.class_names.clone(), train.feature_names.clone());
        let (train, validation) = self.arrays(train, validation, &model)?;
        let cancel = CancelToken::new();
        Ok(PreparedRun {
            model,
            config: self.clone(),
            train,
            validation,
            class_names,
            feature_names,
            cancel,
            resume: false,
            callbacks: Vec::new(),
        })
    }

    /// The arrays to train on and to validate with.
    fn arrays(
        &self,
        train: Dataset,
        validation: Option<Dataset>,
        model: &Model,
    ) -> Result<(Batch, Option<Batch>)> {
        let train = arrays(train, model, "data.train")?;
        let validation =
            validation.map(|data| arrays(data, model, "data.validation")).transpose()?;
        match validation {
            None if self.fit.validation_split > 0.0 => {
                let (train, held_out) = split_batch(train, self.fit.validation_split)?;
                Ok((train, Some(held_out)))
            }
            validation => Ok((train, validation)),
        }
    }

    /// The data of the run as a report shows them to its trained model, and the batches of an epoch.
    pub(crate) fn samples(&self, model: &Model) -> Result<(Samples, usize)> {
        let (train, validation, _) = self.data.load()?;
        let (class_names, feature_names) = (train.class_names.clone(), train.feature_names.clone());
        let (train, validation) = self.arrays(train, validation, model)?;
        let steps = self.steps(&train);
        Ok((Samples::of(train, validation, class_names, feature_names), steps))
    }

    /// How many batches an epoch has.
    fn steps(&self, train: &Batch) -> usize {
        let steps = steps_per_epoch(train.rows(), self.fit.batch_size);
        self.fit.steps_per_epoch.map_or(steps, |asked| asked.min(steps))
    }

    /// The model of this run with its weights, untrained. Data is loaded only if the model does not
    /// state the shape of its input, or if it is standardised.
    pub fn build_model(&self, device: &Device) -> Result<Model> {
        let mut model = self.load_model(device)?;
        if model.network().is_err() || self.data.train.standardizes() {
            let (train, _, statistics) = self.data.load()?;
            build(&mut model, &train)?;
            if let Some(statistics) = &statistics {
                model = standardized(model, statistics)
                    .map_err(|e| e.under("data.train.standardize"))?;
            }
        }
        Ok(model)
    }

    fn load_model(&self, device: &Device) -> Result<Model> {
        let seed = self.fit.seed;
        match &self.model {
            ModelSource::Inline(json) => from_json(&Json::Object(json.clone()), device, seed),
            // What a file was compiled with matters only where it goes on, else it need not be known.
            ModelSource::File(path)
                if self.compile.is_none()
                    && KERAS_ENDINGS.iter().any(|ending| has_ending(path, ending)) =>
            {
                Model::load_with(path, LoadOptions::new().device(device))
            }
            ModelSource::File(path) => load_model(path, device, seed),
        }
        .map_err(|e| e.under("model"))
    }

    /// Refuses an output that would replace what the run reads or another output. A model may go on
    /// in its own file.
    fn check_files(&self) -> Result<()> {
        let mut files = FileSet::new();
        if let Some(file) = &self.file {
            files.reads("this configuration", file);
        }
        let data =
            [("train", Some(&self.data.train)), ("validation", self.data.validation.as_ref())];
        for (key, spec) in data {
            for file in spec.into_iter().flat_map(DatasetSpec::files) {
                files.reads(format!("data that the run reads (`data.{key}`)"), file);
            }
        }
        let mut model_in = FileSet::new();
        if let ModelSource::File(path) = &self.model {
            model_in.reads("the model that the run starts from (`model`)", path);
        }
        let mut writes = |at: String, path: &Path, is_model: bool| {
            let replaced = match is_model {
                true => Ok(()),
                false => model_in.clone().writes("", path),
            };
            replaced.and_then(|()| files.writes(format!("what `{at}` names"), path)).map_err(
                |other| {
                    let message =
                        format!("`{}` is also {other}; choose another name", path.display());
                    Error::config(at, message)
                },
            )
        };
        if let Some(path) = &self.output.model {
            writes("output.model".into(), path, true)?;
        }
        for (key, path) in
            [("output.history", &self.output.history), ("output.report", &self.output.report)]
        {
            if let Some(path) = path {
                writes(key.into(), path, false)?;
            }
        }
        for (index, part) in self.callbacks.iter().enumerate() {
            for (key, path) in part.get()?.files() {
                let is_model = has_ending(&path, "keras");
                writes(format!("callbacks[{index}].config.{key}"), &path, is_model)?;
            }
        }
        Ok(())
    }

    fn check_outputs(&self) -> Result<()> {
        if let Some(path) = &self.output.model {
            if !has_ending(path, "keras") {
                let message = format!("must end in .keras, got `{}`", path.display());
                return Err(Error::config("output.model", message));
            }
            check_writable(path)?;
        }
        let others = [&self.output.history, &self.output.report];
        others.into_iter().flatten().try_for_each(check_writable)
    }
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|e| e == ending)
}

/// The endings of the names of files with whole models of Keras.
pub const KERAS_ENDINGS: [&str; 3] = ["keras", "h5", "hdf5"];

/// Architecture and weights from a `.keras` or older `.h5` file or a `.safetensors` file of ours, or a new
/// model from a `.json` file, with weights drawn from the seed if it states the shape of its input.
///
/// # Errors
/// Another ending; a file that cannot be used.
pub fn load_model(path: &Path, device: &Device, seed: u64) -> Result<Model> {
    match path.extension().and_then(|e| e.to_str()) {
        Some(ending) if KERAS_ENDINGS.contains(&ending) => {
            Model::load_with(path, LoadOptions::new().device(device).compile(false))
        }
        Some("safetensors") => Model::load_with(path, LoadOptions::new().device(device)),
        Some("json") => {
            let (text, value) = read_json(path)?;
            if value.get("class_name").is_none() && value.get("model").is_some() {
                let message = format!(
                    "`{}` is a run configuration where a model is wanted: train it and take the file that \
                     it writes, or take what is in its `model`",
                    path.display()
                );
                return Err(Error::config("", message));
            }
            from_json(&value, device, seed).map_err(|e| e.in_file(path, &text))
        }
        _ => Err(Error::config(
            "",
            format!(
                "a model is read from a .keras, .h5, .json or .safetensors file, not from `{}`",
                path.display()
            ),
        )),
    }
}

fn from_json(json: &Json, device: &Device, seed: u64) -> Result<Model> {
    let mut model = Model::from_json_value(json)?;
    model.set_device(device);
    model.set_seed(seed);
    model.build_if_stated()?;
    Ok(model)
}

impl DataSection {
    /// The data as they are, and the statistics that the model standardises them with.
    fn load(&self) -> Result<(Dataset, Option<Dataset>, Option<Standardizer>)> {
        let asked = self.validation.as_ref().is_some_and(DatasetSpec::standardizes);
        if asked && !self.train.standardizes() {
            let message = "the data trained on is not standardised, so that the two would differ; set \
                           data.train.standardize, which is for both";
            return Err(Error::config("data.validation.standardize", message));
        }
        let (train, statistics) =
            load_unscaled(&self.train, None).map_err(|e| e.under("data.train"))?;
        // The model standardises validation data by the same numbers, whatever theirs are.
        let validation = self.validation.as_ref().map(|spec| load_unscaled(spec, Some(&train)));
        let validation = validation.transpose().map_err(|e| e.under("data.validation"))?;
        Ok((train, validation.map(|(data, _)| data), statistics))
    }
}

/// Gives a model weights for this data, unless it has them.
fn build(model: &mut Model, data: &Dataset) -> Result<()> {
    match data.x.first() {
        Some(first) => {
            let dims = Dims::batch_of(first.dims().get(1..).unwrap_or(&[]));
            let spec = Spec { dims, dtype: first.dtype() };
            model.build_for(Some(&spec), FirstValues::Seed(model.seed()))
        }
        None => Ok(()),
    }
}

/// The arrays of a data set in the order of the model's inputs and outputs.
fn arrays(data: Dataset, model: &Model, key: &str) -> Result<Batch> {
    let (graph, compiled) = (model.network()?.graph(), model.compiled()?);
    let inputs = graph.input_names();
    if data.y.is_empty() {
        return Err(Error::config(key, "the key `y` is missing"));
    }
    // Members of a dict have no order that a list could follow.
    for (member, arrays, names, keys) in [
        ("x", &data.x, &data.x_names, graph.input_keys()),
        ("y", &data.y, &data.y_names, graph.output_keys()),
    ] {
        if let (2.., None, Some(keys)) = (arrays.len(), names, keys) {
            let example = keys.first().map_or("name", String::as_str);
            let kind = if member == "x" { "inputs" } else { "outputs" };
            return Err(Error::config(
                format!("{key}.{member}"),
                format!(
                    "the {kind} of this model are a dict ({}), which has no order; give an object \
                     such as {{\"{example}\": \"{example}.npy\", ..}}",
                    keys.join(", ")
                ),
            ));
        }
    }
    if data.x_names.is_none() && data.x.len() != inputs.len() {
        let message = format!(
            "x holds {} array{}, the model has {} input{} ({})",
            data.x.len(),
            if data.x.len() == 1 { "" } else { "s" },
            inputs.len(),
            if inputs.len() == 1 { "" } else { "s" },
            inputs.join(", ")
        );
        return Err(Error::config(format!("{key}.x"), message));
    }
    // Targets of outputs without a loss may be left out.
    let outputs: Vec<&str> = match data.y_names.as_ref().map(Vec::len) {
        Some(count) => compiled.names_of_targets(count),
        None => compiled.heads().iter().map(Head::name).collect(),
    };
    let data = data.in_order_of(&inputs, &outputs).map_err(|e| e.under(key))?;
    let counted = compiled.check_targets("y", data.y.len());
    counted.map_err(|e| Error::config(format!("{key}.y"), e.to_string()))?;
    Ok(Batch { x: data.x, y: data.y, sample_weight: data.sample_weight })
}

impl PreparedRun {
    /// Ends the run from outside after the batch at hand: model and history are then written.
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// Goes on from the newest checkpoint of the run, or starts if there is none.
    ///
    /// # Errors
    /// If the run writes no checkpoints.
    pub fn resume(&mut self) -> Result<()> {
        if self.checkpoint().is_none() {
            let why = match self.config.checkpoint {
                CheckpointSetting::Off => "`checkpoint` is false",
                _ => "the configuration names neither `checkpoint` nor `output.model`",
            };
            return Err(Error::config(
                "checkpoint",
                format!(
                    "{why}, so the run writes no checkpoints to go on from; add \"checkpoint\": \
                     {{\"directory\": \"runs/checkpoints\"}}"
                ),
            ));
        }
        self.resume = true;
        Ok(())
    }

    /// Adds a callback to those of the configuration.
    pub fn add_callback(&mut self, callback: impl Callback + 'static) {
        self.callbacks.push(Box::new(callback));
    }

    /// The checkpoints that the run writes: those of the configuration's section, of a callback, or
    /// beside the model.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        match &self.config.checkpoint {
            CheckpointSetting::On(checkpoint) => Some(checkpoint.clone()),
            other => self
                .checkpoint_of_callback()
                .or_else(|| other.checkpoint(self.config.output.model.as_deref())),
        }
    }

    fn checkpoint_of_callback(&self) -> Option<Checkpoint> {
        let parts = self.config.callbacks.iter();
        parts.filter_map(|part| part.get().ok()).find_map(|part| part.start().checkpoint())
    }

    /// The newest checkpoint that there is of the run.
    pub fn newest_checkpoint(&self) -> Option<PathBuf> {
        let folder = self.checkpoint()?.directory;
        checkpoint::list(&folder).ok()?.into_iter().next()
    }

    /// Trains, writes the outputs, and scores the trained model on the validation data.
    pub fn train(&mut self) -> Result<Outcome> {
        let fit = self.config.fit.to_fit();
        self.train_with(fit)
    }

    /// As [`PreparedRun::train`], showing nothing.
    pub fn train_quietly(&mut self) -> Result<Outcome> {
        let fit = self.config.fit.to_fit().verbose(crate::Verbose::Silent);
        self.train_with(fit)
    }

    fn train_with(&mut self, mut fit: Fit) -> Result<Outcome> {
        for part in &self.config.callbacks {
            fit.callbacks.push(part.get()?.start());
        }
        fit.callbacks.append(&mut self.callbacks);
        let Batch { x, y, sample_weight } = self.train.clone();
        fit.sample_weight = sample_weight;
        fit.cancel = self.cancel.clone();
        fit.fingerprints = true;
        // What a callback asks for `fit` hears from the callback.
        if matches!(self.config.checkpoint, CheckpointSetting::On(_))
            || self.checkpoint_of_callback().is_none()
        {
            (fit.checkpoint, fit.resume) = (self.checkpoint(), self.resume);
        }
        // What is code of the user's own has no place in a file.
        fit.configuration = self.config.to_config().map(Json::Object).ok();
        fit.validation = self.validation.clone().map(Validation::Arrays);
        let mut history = History::default();
        self.model.fit_arrays(x, y, fit, &mut history).inspect_err(|_| self.keep(&history))?;
        self.write(&history)?;
        let done = self.config.fit.initial_epoch + history.epoch.len();
        if self.cancel.is_cancelled() && done < self.config.fit.epochs {
            return Ok(Outcome { history, validation: None, cancelled: true });
        }
        let batch_size =
            self.config.fit.validation_batch_size.unwrap_or(self.config.fit.batch_size);
        let validation = match self.validation.clone() {
            Some(batch) => Some(self.model.evaluate_batch(batch, batch_size)?),
            None => None,
        };
        if let Some(path) = &self.config.output.report {
            let page = self.report(&history)?;
            write_atomic(path, |sink| sink.write_all(page.as_bytes()))?;
        }
        Ok(Outcome { history, validation, cancelled: false })
    }

    /// The page of the run, see [`SavedRun::report`](crate::report::SavedRun::report).
    fn report(&self, history: &History) -> Result<String> {
        let (class_names, feature_names) = (self.class_names.clone(), self.feature_names.clone());
        let (train, validation) = (self.train.clone(), self.validation.clone());
        let named = self.config.file.as_ref().and_then(|file| file.file_stem()?.to_str());
        report::report(report::Source {
            title: named.unwrap_or(self.model.architecture().name()).to_string(),
            history,
            model: Some(&self.model),
            batch_size: self.config.fit.batch_size,
            steps: Some(self.config.steps(&train)),
            samples: Some(Samples::of(train, validation, class_names, feature_names)),
            notes: Vec::new(),
        })
    }

    /// What a run that failed had made: the history of its whole epochs and, unless there is a file
    /// already, the model as it is. That it failed is the error to report, whatever happens here.
    fn keep(&self, history: &History) {
        if history.epoch.is_empty() {
            return;
        }
        let mut kept = Vec::new();
        let output = &self.config.output;
        if let Some(path) = output.history.as_ref().filter(|_| self.write_history(history).is_ok())
        {
            kept.push(format!(
                "the history of {} whole {} in {}",
                history.epoch.len(),
                if history.epoch.len() == 1 { "epoch" } else { "epochs" },
                path.display()
            ));
        }
        let is_new =
            |path: &&PathBuf| !path.exists() && self.model.check_finite_weights("").is_ok();
        if let Some(path) = output.model.as_ref().filter(is_new)
            && self.model.save(path).is_ok()
        {
            kept.push(format!("the model as it was then in {}", path.display()));
        }
        if !kept.is_empty() {
            tracing::warn!("the run failed and left {}", kept.join(" and "));
        }
    }

    fn write(&self, history: &History) -> Result<()> {
        if let Some(path) = &self.config.output.model {
            self.model.save(path)?;
        }
        self.write_history(history)
    }

    fn write_history(&self, history: &History) -> Result<()> {
        if let Some(path) = &self.config.output.history {
            let text = serde_json::to_string_pretty(history)
                .map_err(|e| Error::file(path, format!("cannot be written: {e}")))?;
            write_atomic(path, |sink| writeln!(sink, "{text}"))?;
        }
        Ok(())
    }
}
