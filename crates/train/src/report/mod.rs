//! Reports of runs: one page of HTML that needs nothing else, and pages that compare runs.
//!
//! Separation of concerns: this file gathers what a report shows; `page` writes it as HTML; `curves`
//! draws; `graph` draws the model; `classes` counts what a classifier takes for what; `pictures` shows samples; `saved_run` finds
//! what a run left; `compare` holds several runs beside each other.

mod classes;
mod compare;
pub(crate) mod curves;
mod graph;
mod page;
mod pictures;
mod saved_run;

pub use compare::Comparison;
pub use saved_run::SavedRun;

use crate::history::History;
use crate::model::Model;
use crate::prepare;
use classes::{Confusion, Mistake};
use curves::{Line, Panel};
use sconce_core::{Context, Json, Result, Tensor};
use sconce_data::Batch;
use sconce_model::summary::{LayerRow, layer_rows};
use std::collections::BTreeMap;
use std::time::Duration;

/// Samples that are predicted for a report.
const SAMPLES: usize = 20_000;
/// Passes that the times of layers are the medians of.
const PASSES: usize = 5;
/// Values of a sample that is no image.
const FEATURES: usize = 6;

/// What a report is made of.
pub(crate) struct Source<'a> {
    pub title: String,
    pub history: &'a History,
    pub model: Option<&'a Model>,
    pub samples: Option<Samples>,
    pub batch_size: usize,
    /// Batches of an epoch, where they are known.
    pub steps: Option<usize>,
    /// What is missing and why.
    pub notes: Vec<String>,
}

/// Data that the model is shown in a report.
pub(crate) struct Samples {
    /// What they are: "validation data".
    pub of: &'static str,
    pub data: Batch,
    pub class_names: Option<Vec<String>>,
    pub feature_names: Option<Vec<String>>,
}

/// What a report shows.
struct Report {
    title: String,
    facts: Vec<(&'static str, String)>,
    notes: Vec<String>,
    scores: Vec<Score>,
    panels: Vec<Panel>,
    model: Option<ModelTable>,
    classes: Option<Classes>,
    configuration: Option<String>,
}

/// The values of a name.
struct Score {
    name: String,
    last: f64,
    /// The best value and its epoch, from 1.
    best: Option<(f64, usize)>,
}

/// The layers of a model.
struct ModelTable {
    name: String,
    layers: Vec<LayerRow>,
    /// An SVG element.
    picture: Option<String>,
    weights: usize,
    trainable: usize,
    /// How long each layer takes in a forward pass, and of what.
    times: Option<(BTreeMap<String, Duration>, String)>,
}

/// What the model takes samples for.
struct Classes {
    of: String,
    names: Vec<String>,
    outputs: Vec<(Confusion, Vec<Shown>)>,
}

/// A mistake with what the model was shown.
struct Shown {
    mistake: Mistake,
    /// A picture as a `data:` address.
    picture: Option<String>,
    features: Option<String>,
}

/// The page of a run.
///
/// # Errors
/// If the model fails on the data.
pub(crate) fn report(source: Source<'_>) -> Result<String> {
    let Source { title, history, model, samples, batch_size, steps, mut notes } = source;
    let mut panels = curves::panels(history);
    if !history.history.keys().any(|name| name.starts_with("learning_rate")) {
        panels.extend(model.and_then(|model| rates(model, history, steps)));
    }
    let samples = samples.map(|samples| samples.limited(&mut notes)).transpose()?;
    let table = match (model, model.map(Model::network)) {
        (Some(model), Some(Ok(_))) => Some(table(model, samples.as_ref(), batch_size)?),
        _ => None,
    };
    let classes = match (model, samples) {
        (Some(model), Some(samples)) => classes_of(model, samples, batch_size)?,
        _ => None,
    };
    let run = history.run.as_ref();
    let configuration = run.and_then(|run| run.configuration.as_ref()).map(pretty);
    let report = Report {
        title,
        facts: facts(history),
        notes,
        scores: scores(history),
        panels,
        model: table,
        classes,
        configuration,
    };
    page::page(&report)
}

fn pretty(json: &Json) -> String {
    serde_json::to_string_pretty(json).unwrap_or_default()
}

/// What it takes to repeat the run.
fn facts(history: &History) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Epochs", history.epoch.len().to_string())];
    if let Some(run) = &history.run {
        facts.push(("Seed", run.seed.to_string()));
        facts.push(("Device", run.device.clone()));
        facts.push(("Sconce", run.version.clone()));
        facts.extend(run.data.clone().map(|sum| ("Data (SHA-256)", sum)));
        facts.extend(run.config.clone().map(|sum| ("Configuration (SHA-256)", sum)));
    }
    facts
}

fn scores(history: &History) -> Vec<Score> {
    let score = |(name, values): (&String, &Vec<f64>)| {
        let best = history.best(name).map(|at| (at.value, at.epoch + 1));
        values.last().map(|last| Score { name: name.clone(), last: *last, best })
    };
    history.history.iter().filter_map(score).collect()
}

/// The learning rate at the end of each epoch, as the optimizer's schedule has it.
fn rates(model: &Model, history: &History, steps: Option<usize>) -> Option<Panel> {
    let optimizer = model.compiled.as_ref()?.optimizer_state()?;
    let (steps, epochs) = (steps? as u64, history.epoch.len() as u64);
    let rate = |(index, epoch): (usize, &usize)| {
        let updates = (epochs - 1 - index as u64).saturating_mul(steps).saturating_add(1);
        ((epoch + 1) as f64, optimizer.learning_rate_before(updates))
    };
    let points: Vec<(f64, f64)> = history.epoch.iter().enumerate().map(rate).collect();
    let drawn = !points.is_empty() && points.iter().all(|(_, rate)| rate.is_finite());
    let line = Line { name: "learning rate".into(), points, best: None };
    drawn.then(|| Panel { title: "learning rate".into(), lines: vec![line] })
}

impl Samples {
    /// The data of a run: those it is validated with, if there are any.
    pub fn of(
        train: Batch,
        validation: Option<Batch>,
        class_names: Option<Vec<String>>,
        feature_names: Option<Vec<String>>,
    ) -> Self {
        let (of, data) = match validation {
            Some(data) => ("validation data", data),
            None => ("training data", train),
        };
        Self { of, data, class_names, feature_names }
    }

    /// The first of them, so that a report of much data is made in time.
    fn limited(self, notes: &mut Vec<String>) -> Result<Self> {
        let rows = self.data.rows();
        if rows <= SAMPLES {
            return Ok(self);
        }
        notes.push(format!(
            "What the model makes of the {} is shown of its first {SAMPLES} rows, of {rows}.",
            self.of
        ));
        let first = |arrays: Vec<Tensor>| -> Result<Vec<Tensor>> {
            arrays.iter().map(|array| Ok(array.narrow(0, 0, SAMPLES)?)).collect()
        };
        let Batch { x, y, .. } = self.data;
        let data = Batch { x: first(x)?, y: first(y)?, sample_weight: Vec::new() };
        Ok(Self { data, ..self })
    }
}

fn table(model: &Model, samples: Option<&Samples>, batch_size: usize) -> Result<ModelTable> {
    let network = model.network()?;
    let parameters = network.store().parameters();
    let count = |trainable: bool| {
        let counted = parameters.iter().filter(|weight| weight.trainable == trainable);
        counted.map(|weight| weight.var.elem_count()).sum::<usize>()
    };
    let times = match samples {
        // Elsewhere a layer only hands its work to the device.
        Some(samples) if model.device().is_cpu() => layer_times(model, samples, batch_size)?,
        _ => None,
    };
    let trainable = count(true);
    Ok(ModelTable {
        name: network.architecture().name().to_string(),
        layers: layer_rows(network),
        picture: graph::picture(network.graph()),
        weights: trainable + count(false),
        trainable,
        times,
    })
}

/// The median of some passes over the first batch.
fn layer_times(
    model: &Model,
    samples: &Samples,
    batch_size: usize,
) -> Result<Option<(BTreeMap<String, Duration>, String)>> {
    let rows = samples.data.rows().min(batch_size);
    if rows == 0 {
        return Ok(None);
    }
    let first = samples.data.x.iter().map(|x| Ok(x.narrow(0, 0, rows)?));
    let x = prepare::to_model(model, first.collect::<Result<_>>()?)?;
    let mut passes: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    // The first pass is for the processor to get warm.
    for pass in 0..=PASSES {
        let mut of_pass: BTreeMap<String, Duration> = BTreeMap::new();
        for (layer, time) in model.network()?.layer_times(&x, &mut Context::inference())? {
            *of_pass.entry(layer).or_default() += time;
        }
        if pass > 0 {
            of_pass
                .into_iter()
                .for_each(|(layer, time)| passes.entry(layer).or_default().push(time));
        }
    }
    let median = |(layer, mut times): (String, Vec<Duration>)| {
        times.sort();
        times.get(times.len() / 2).map(|time| (layer, *time))
    };
    let of = format!("median of {PASSES} forward passes of {rows} samples, layer by layer");
    Ok(Some((passes.into_iter().filter_map(median).collect(), of)))
}

fn classes_of(model: &Model, samples: Samples, batch_size: usize) -> Result<Option<Classes>> {
    let (Ok(compiled), Ok(network)) = (model.compiled(), model.network()) else { return Ok(None) };
    let Samples { of, data, class_names, feature_names } = samples;
    if data.rows() == 0 || compiled.heads().iter().all(|head| head.loss().is_none()) {
        return Ok(None);
    }
    let predicted = model.predict_all(&data.x, batch_size.max(256))?;
    let several = predicted.len() > 1;
    let images = match data.x.as_slice() {
        [x] => pictures::images(network.graph(), x),
        _ => None,
    };
    let extremes = images.as_ref().map(pictures::extremes).transpose()?;
    let mut outputs = Vec::new();
    for (index, (head, y_pred)) in compiled.heads().iter().zip(&predicted).enumerate() {
        let target = compiled.target_of(index, data.y.len()).and_then(|at| data.y.get(at));
        let Some(y_true) = target else { continue };
        let name = several.then(|| head.name().to_string());
        let is_probability = network.graph().outputs_probabilities(index);
        let Some(mut found) = Confusion::of(head, name, is_probability, y_true, y_pred)? else {
            continue;
        };
        let mut shown = Vec::new();
        for mistake in std::mem::take(&mut found.worst) {
            let picture = match (&images, extremes) {
                (Some(images), Some(extremes)) => {
                    Some(pictures::data_url(images, mistake.row, extremes)?)
                }
                _ => None,
            };
            let features = match (&picture, data.x.as_slice()) {
                (None, [x]) => features(x, mistake.row, feature_names.as_deref())?,
                _ => None,
            };
            shown.push(Shown { mistake, picture, features });
        }
        outputs.push((found, shown));
    }
    let names = class_names.unwrap_or_default();
    Ok((!outputs.is_empty()).then(|| Classes { of: of.to_string(), names, outputs }))
}

/// The first values of a row of a table.
fn features(x: &Tensor, row: usize, names: Option<&[String]>) -> Result<Option<String>> {
    if x.dims().len() != 2 {
        return Ok(None);
    }
    let values = x.get(row)?.to_dtype(sconce_core::DType::F64)?.to_vec1::<f64>()?;
    let value = |(index, value): (usize, &f64)| {
        let rounded = format!("{value:.3}");
        let rounded = rounded.trim_end_matches('0').trim_end_matches('.');
        match names.and_then(|names| names.get(index)) {
            Some(name) => format!("{name} {rounded}"),
            None => rounded.to_string(),
        }
    };
    let mut shown: Vec<String> = values.iter().enumerate().take(FEATURES).map(value).collect();
    if values.len() > FEATURES {
        shown.push("…".into());
    }
    Ok(Some(shown.join(", ")))
}
