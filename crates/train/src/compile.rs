//! `compile`: how a model learns.

use crate::compile_config::{jit_compile, loss, loss_weights, metrics};
use crate::losses::LossFn;
use crate::metrics::MetricFn;
use crate::optimizers::Optimizer;
use crate::per_output::{IntoPerOutput, PerOutput};
use sconce_core::{Config, Json, Result, config};

/// Everything Keras's `compile` takes. Losses, their weights and metrics may be given for each output, in
/// a list or by name.
#[derive(Clone, Debug, Config)]
#[config(value, no_new)]
pub struct Compile {
    /// The optimizer.
    #[config(default = "rmsprop", no_builder)]
    pub optimizer: Optimizer,
    /// The loss of each output.
    #[config(with = loss, no_builder)]
    pub loss: PerOutput<LossFn>,
    /// Factor on the loss of each output.
    #[config(with = loss_weights, no_builder)]
    pub loss_weights: Option<PerOutput<f64>>,
    /// Metrics, by name (`"accuracy"`) or configured.
    #[config(default, with = metrics, no_builder)]
    pub metrics: Metrics,
    /// Metrics that take sample weights into account.
    #[config(default, with = metrics, no_builder)]
    pub weighted_metrics: Metrics,
    /// Whether Keras runs operation by operation. It is kept for Keras, not read, as the next two.
    #[config(default = false)]
    pub run_eagerly: bool,
    /// Batches that Keras runs in one call.
    #[config(default = 1, range = "[1, inf)")]
    pub steps_per_execution: u64,
    /// Whether Keras compiles the step; `"auto"` (`None`): Keras decides.
    #[config(with = jit_compile)]
    pub jit_compile: Option<bool>,
}

/// The metrics of a model.
#[derive(Clone, Debug)]
pub enum Metrics {
    /// A plain list: of the only output, or one for each of several outputs.
    Flat(Vec<MetricFn>),
    /// A list for each output.
    PerOutput(PerOutput<Vec<MetricFn>>),
}

impl Default for Metrics {
    fn default() -> Self {
        Self::Flat(Vec::new())
    }
}

impl Metrics {
    /// Every metric with the end of its JSON path.
    pub(crate) fn values(&self) -> Vec<(String, &MetricFn)> {
        let listed = |at: &str, metrics: &'_ [MetricFn]| -> Vec<String> {
            (0..metrics.len()).map(|i| format!("{at}[{i}]")).collect()
        };
        match self {
            Self::Flat(metrics) => listed("", metrics).into_iter().zip(metrics).collect(),
            Self::PerOutput(outputs) => outputs
                .values()
                .into_iter()
                .flat_map(|(at, metrics)| listed(&at, metrics).into_iter().zip(metrics))
                .collect(),
        }
    }

    /// The metrics of each output.
    pub(crate) fn resolve(
        &self,
        key: &str,
        outputs: &[String],
    ) -> sconce_core::Result<Vec<Vec<MetricFn>>> {
        let per_output = match self {
            Self::Flat(metrics) if outputs.len() == 1 => return Ok(vec![metrics.clone()]),
            Self::Flat(metrics) if metrics.is_empty() => {
                return Ok(vec![Vec::new(); outputs.len()]);
            }
            Self::Flat(metrics) => {
                PerOutput::List(metrics.iter().map(|m| Some(vec![m.clone()])).collect())
            }
            Self::PerOutput(outputs) => outputs.clone(),
        };
        let resolved = per_output.resolve(key, outputs, true)?;
        Ok(resolved.into_iter().map(Option::unwrap_or_default).collect())
    }
}

impl Compile {
    /// With an optimizer and a loss, each by name or configured. For several outputs give a loss for
    /// all, an array of losses, or losses by output name: `[("a", "mse"), ("b", "mae")]`.
    pub fn new<M>(optimizer: impl Into<Optimizer>, loss: impl IntoPerOutput<LossFn, M>) -> Self {
        Self {
            optimizer: optimizer.into(),
            loss: loss.into_per_output(),
            loss_weights: None,
            metrics: Metrics::default(),
            weighted_metrics: Metrics::default(),
            run_eagerly: false,
            steps_per_execution: 1,
            jit_compile: None,
        }
    }

    /// Reads Keras's `compile_config`:
    /// `{"optimizer": "adam", "loss": "mse", "metrics": ["accuracy"], ...}`. Parts are names or
    /// `{"class_name": ..., "config": {...}}`; keys left out take Keras's defaults.
    ///
    /// # Errors
    /// With the JSON path of what is unknown or wrong, and the nearest known name.
    pub fn from_json(value: &Json) -> Result<Self> {
        config::value_from_json(value)
    }

    /// Keras's `compile_config`.
    ///
    /// # Errors
    /// If a part is the user's own code, which no file can hold.
    pub fn to_json(&self) -> Result<Json> {
        self.to_config().map(Json::Object)
    }

    /// Sets the metrics: `["accuracy"]`, or with one of your own among them
    /// `["accuracy".into(), custom_metric(..)]`. With several outputs, one for each.
    pub fn metrics<M: Into<MetricFn>>(mut self, metrics: impl IntoIterator<Item = M>) -> Self {
        self.metrics = Metrics::Flat(metrics.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the metrics of one output, by its name.
    pub fn metrics_of<M: Into<MetricFn>>(
        mut self,
        output: &str,
        metrics: impl IntoIterator<Item = M>,
    ) -> Self {
        add_named(&mut self.metrics, output, metrics.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the metrics that take sample weights into account.
    pub fn weighted_metrics<M: Into<MetricFn>>(
        mut self,
        metrics: impl IntoIterator<Item = M>,
    ) -> Self {
        self.weighted_metrics = Metrics::Flat(metrics.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the metrics of one output that take sample weights into account, by its name.
    pub fn weighted_metrics_of<M: Into<MetricFn>>(
        mut self,
        output: &str,
        metrics: impl IntoIterator<Item = M>,
    ) -> Self {
        let metrics = metrics.into_iter().map(Into::into).collect();
        add_named(&mut self.weighted_metrics, output, metrics);
        self
    }

    /// Multiplies the loss of each output: one factor for all, an array, or by name.
    pub fn loss_weights<M>(mut self, weights: impl IntoPerOutput<f64, M>) -> Self {
        self.loss_weights = Some(weights.into_per_output());
        self
    }
}

fn add_named(metrics: &mut Metrics, output: &str, of_output: Vec<MetricFn>) {
    let entry = (output.to_string(), Some(of_output));
    match metrics {
        Metrics::PerOutput(PerOutput::Named(named)) => named.push(entry),
        other => *other = Metrics::PerOutput(PerOutput::Named(vec![entry])),
    }
}
