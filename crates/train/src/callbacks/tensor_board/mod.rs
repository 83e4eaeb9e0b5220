//! The run as TensorBoard shows it.
//!
//! Separation of concerns: this file follows the run; `events` writes the files.

mod events;

use super::{Callback, CallbackConfig, CallbackState, End, Event, Flow, Run, optimizer_of};
use crate::history::Logs;
use events::{EventFile, Histogram};
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{Config, ConfigValue, DType, Error, Json, Result};
use std::path::PathBuf;
use std::time::Instant;

/// Writes event files that TensorBoard shows (Keras's `TensorBoard`): `epoch_` values of training in
/// the run `train`, of validation in `validation`, with the learning rate; `evaluation_.._vs_iterations`
/// of each validation; the model's graph; the optimizer's configuration as text; the hyperparameters
/// (optimizer, loss, epochs, seed) for the HParams view, where folders of several runs in one are compared;
/// with `histogram_freq` the weights. `tensorboard --logdir logs` shows them.
#[derive(Debug, Config)]
pub struct TensorBoard {
    /// The folder of the event files.
    #[config(default = "logs")]
    pub log_dir: PathBuf,
    /// Writes histograms of all weights every so many epochs; 0 never.
    #[config(default = 0)]
    pub histogram_freq: usize,
    /// Whether the model's graph is written.
    #[config(default = true)]
    pub write_graph: bool,
    /// Whether steps per second are written, of each epoch.
    #[config(default = false)]
    pub write_steps_per_second: bool,
    /// How often loss and metrics are written besides those of epochs: `"epoch"` (never), `"batch"`, or
    /// every so many batches.
    #[config(default)]
    pub update_freq: UpdateFreq,
    #[config(skip)]
    batches: u64,
    #[config(skip)]
    since: Option<(Instant, u64)>,
    #[config(skip)]
    train: Option<EventFile>,
    #[config(skip)]
    validation: Option<EventFile>,
    #[config(skip)]
    hyperparameters: Option<EventFile>,
}

/// How often a [`TensorBoard`] writes the values of batches. In JSON `"epoch"`, `"batch"` or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateFreq {
    /// Never.
    #[default]
    Epoch,
    /// Every so many batches.
    Batches(u64),
}

impl ConfigValue for UpdateFreq {
    fn from_json(value: &Json) -> Result<Self> {
        match (value.as_str(), u64::from_json(value)) {
            (Some("epoch"), _) => Ok(Self::Epoch),
            (Some("batch"), _) => Ok(Self::Batches(1)),
            (_, Ok(batches @ 1..)) => Ok(Self::Batches(batches)),
            _ => Err(mismatch("\"epoch\", \"batch\" or a number of batches of at least 1", value)),
        }
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::Epoch => Ok("epoch".into()),
            Self::Batches(batches) => batches.to_json(),
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        serde_json::json!({"anyOf": [{"enum": ["epoch", "batch"]}, {"type": "integer", "minimum": 1}]})
    }
}

impl TensorBoard {
    fn train_begin(&mut self, run: &Run<'_>) -> Result<()> {
        let mut train = EventFile::create(&self.log_dir.join("train"))?;
        if self.batches == 0 {
            if let (true, Ok(json)) = (self.write_graph, run.model.to_json()) {
                train.graph("keras", &json)?;
            }
            if let Some(compiled) = &run.model.compiled
                && let Ok(config) = compiled.to_json()
            {
                let config = serde_json::to_string_pretty(&config).unwrap_or_default();
                train.text("compile", &format!("```json\n{config}\n```"))?;
            }
        }
        let mut file = EventFile::create(&self.log_dir)?;
        if self.batches == 0 {
            file.session_start(&hyperparameters(run))?;
            file.flush()?;
        }
        self.hyperparameters = Some(file);
        self.train = Some(train);
        Ok(())
    }

    fn batch_end(&mut self, run: &Run<'_>) -> Result<()> {
        self.batches += 1;
        let UpdateFreq::Batches(every) = self.update_freq else { return Ok(()) };
        let Some(train) = &mut self.train else { return Ok(()) };
        if !self.batches.is_multiple_of(every) {
            return Ok(());
        }
        for (name, value) in run.logs()?.0 {
            train.scalar(&format!("batch_{name}"), self.batches, value)?;
        }
        Ok(())
    }

    fn test_end(&mut self, logs: &Logs, run: &Run<'_>) -> Result<()> {
        let Ok(optimizer) = optimizer_of(run.model) else { return Ok(()) };
        let file = match &mut self.validation {
            Some(file) => file,
            none => none.insert(EventFile::create(&self.log_dir.join("validation"))?),
        };
        for (name, value) in &logs.0 {
            let tag = format!("evaluation_{name}_vs_iterations");
            file.scalar(&tag, optimizer.iterations, *value)?;
        }
        file.flush()
    }

    fn epoch_end(&mut self, epoch: usize, logs: &Logs, run: &Run<'_>) -> Result<()> {
        let step = epoch as u64;
        let mut logs = logs.clone();
        if let Ok(optimizer) = optimizer_of(run.model) {
            optimizer.learning_rates().iter().for_each(|(name, rate)| logs.set(name, *rate));
        }
        if let (true, Some((since, batches))) = (self.write_steps_per_second, self.since) {
            let seconds = since.elapsed().as_secs_f64();
            logs.set("steps_per_second", (self.batches - batches) as f64 / seconds);
        }
        for (name, value) in &logs.0 {
            let (file, name) = match name.strip_prefix("val_") {
                Some(name) => (&mut self.validation, name),
                None => (&mut self.train, name.as_str()),
            };
            if let Some(file) = file {
                file.scalar(&format!("epoch_{name}"), step, *value)?;
            }
        }
        let Some(train) = &mut self.train else { return Ok(()) };
        if self.histogram_freq > 0 && epoch.is_multiple_of(self.histogram_freq) {
            for weight in run.model.store()?.parameters() {
                let values = weight.var.as_tensor().detach().flatten_all()?.to_dtype(DType::F64)?;
                let histogram = Histogram::of(&values.to_vec1::<f64>()?);
                train.histogram(&format!("{}/histogram", weight.path), step, &histogram)?;
            }
        }
        train.flush()?;
        self.validation.as_mut().map_or(Ok(()), EventFile::flush)
    }
}

/// What runs are compared by: the optimizer with its arguments, the loss, epochs and seed.
fn hyperparameters(run: &Run<'_>) -> Vec<(String, Json)> {
    let name = |part: &Json| match part {
        Json::Object(object) => object.get("class_name").cloned(),
        name => Some(name.clone()),
    };
    let mut values = vec![
        ("epochs".to_string(), Json::from(run.epochs)),
        ("seed".to_string(), Json::from(run.model.run_seed())),
    ];
    // A part that is code of the user's own has no configuration.
    let Some(Ok(compile)) = run.model.compiled.as_ref().map(|compiled| compiled.to_json()) else {
        return values;
    };
    for key in ["optimizer", "loss"] {
        values.extend(name(&compile[key]).map(|name| (key.to_string(), name)));
    }
    for (key, value) in compile["optimizer"]["config"].as_object().into_iter().flatten() {
        if key != "name" {
            values.extend(name(value).map(|value| (key.clone(), value)));
        }
    }
    values
}

impl CallbackConfig for TensorBoard {
    fn start(&self) -> Box<dyn Callback> {
        Box::new(
            Self::new()
                .log_dir(&self.log_dir)
                .histogram_freq(self.histogram_freq)
                .write_graph(self.write_graph)
                .write_steps_per_second(self.write_steps_per_second)
                .update_freq(self.update_freq),
        )
    }
}

impl Callback for TensorBoard {
    fn name(&self) -> &'static str {
        "TensorBoard"
    }

    fn prepare(&mut self, _run: &Run<'_>) -> Result<()> {
        (self.batches, self.since) = (0, None);
        (self.train, self.validation, self.hyperparameters) = (None, None, None);
        sconce_core::atomic::check_writable(self.log_dir.join("train/events"))
    }

    fn on(&mut self, event: &Event, run: &mut Run<'_>) -> Result<Flow> {
        match event {
            Event::TrainBegin => self.train_begin(run)?,
            Event::EpochBegin { .. } | Event::Resumed { .. } => {
                self.since = Some((Instant::now(), self.batches));
            }
            Event::BatchEnd { .. } => self.batch_end(run)?,
            Event::TestEnd { logs } => self.test_end(logs, run)?,
            Event::EpochEnd { epoch, logs } => self.epoch_end(*epoch, logs, run)?,
            Event::TrainEnd { end } => {
                if let Some(mut file) = self.hyperparameters.take() {
                    file.session_end(!matches!(end, End::Failed(_)))?;
                    file.flush()?;
                }
                for mut file in [self.train.take(), self.validation.take()].into_iter().flatten() {
                    file.flush()?;
                }
            }
            _ => {}
        }
        Ok(Flow::Continue)
    }

    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState { values: self.batches.into(), tensors: Vec::new() })
    }

    fn restore(&mut self, state: CallbackState) -> Result<()> {
        let batches = state.values.as_u64();
        self.batches = batches.ok_or_else(|| Error::data("a number of batches was expected"))?;
        Ok(())
    }
}
