//! `compile`: how a model learns.

use crate::callbacks::{Goal, Logged};
use crate::compile_config::Execution;
use crate::history::Logs;
use crate::losses::LossFn;
use crate::metrics::{Mean, MetricFn, Running};
use crate::optimizers::{Optimizer, OptimizerState};
use sconce_core::{Error, Json, Result, Tensor};
use sconce_model::Network;

/// Everything Keras's `compile` takes.
#[derive(Clone, Debug)]
pub struct Compile {
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The loss.
    pub loss: LossFn,
    /// Factor on the loss of each output.
    pub loss_weights: Option<f64>,
    /// Metrics, by name (`"accuracy"`) or configured.
    pub metrics: Vec<MetricFn>,
    /// Metrics that take sample weights into account.
    pub weighted_metrics: Vec<MetricFn>,
    /// How Keras runs the model; Sconce does not read it.
    pub execution: Execution,
}

impl Compile {
    /// With an optimizer and a loss, each by name or configured.
    pub fn new(optimizer: impl Into<Optimizer>, loss: impl Into<LossFn>) -> Self {
        Self {
            optimizer: optimizer.into(),
            loss: loss.into(),
            loss_weights: None,
            metrics: Vec::new(),
            weighted_metrics: Vec::new(),
            execution: Execution::default(),
        }
    }

    /// Sets the metrics: `["accuracy"]`.
    pub fn metrics<M: Into<MetricFn>>(mut self, metrics: impl IntoIterator<Item = M>) -> Self {
        self.metrics = metrics.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the metrics that take sample weights into account.
    pub fn weighted_metrics<M: Into<MetricFn>>(
        mut self,
        metrics: impl IntoIterator<Item = M>,
    ) -> Self {
        self.weighted_metrics = metrics.into_iter().map(Into::into).collect();
        self
    }

    /// Multiplies the loss.
    pub fn loss_weights(mut self, weight: f64) -> Self {
        self.loss_weights = Some(weight);
        self
    }
}

/// A compiled model's learning: optimizer with its state, loss, metrics.
pub struct Compiled {
    compile: Compile,
    optimizer: Option<OptimizerState>,
    metrics: Vec<Box<dyn Running>>,
    names: Vec<String>,
    weighted: usize,
    loss_mean: Mean,
}

impl Compiled {
    pub(crate) fn new(compile: Compile) -> Result<Self> {
        compile.optimizer.get().map_err(|e| e.under("optimizer"))?;
        compile.loss.get().map_err(|e| e.under("loss"))?;
        Ok(Self {
            compile,
            optimizer: None,
            metrics: Vec::new(),
            names: Vec::new(),
            weighted: 0,
            loss_mean: Mean::default(),
        })
    }

    /// Fits loss and metrics to the model's outputs, and gives every trainable weight its slots.
    pub(crate) fn bind(&mut self, network: &Network) -> Result<()> {
        if self.optimizer.is_some() {
            return Ok(());
        }
        let probabilities = network.graph().outputs_probabilities(0);
        if let Some(None) = self.compile.loss.get()?.takes_logits() {
            let loss = &self.compile.loss;
            let mut config = loss.config().cloned().unwrap_or_default();
            config["from_logits"] = Json::Bool(!probabilities);
            if !probabilities {
                tracing::info!(
                    "the model does not end in a softmax or sigmoid, so {} takes its outputs as \
                     logits (from_logits = true)",
                    loss.name()
                );
            }
            self.compile.loss = LossFn::new(loss.class_name(), config)?;
        }
        for (index, metric) in
            self.compile.metrics.iter().chain(&self.compile.weighted_metrics).enumerate()
        {
            let metric = metric.get().map_err(|e| e.under(&format!("metrics[{index}]")))?;
            self.names.push(metric.name());
            self.metrics.push(metric.start());
        }
        self.weighted = self.compile.weighted_metrics.len();
        self.optimizer = Some(OptimizerState::new(&self.compile.optimizer, network.store())?);
        Ok(())
    }

    /// What was asked for, with `from_logits` resolved once the model is built.
    pub fn compile(&self) -> &Compile {
        &self.compile
    }

    /// Keras's `compile_config`, with the learning rate as it is now.
    ///
    /// # Errors
    /// If a part is the user's own code, which no file can hold.
    pub fn to_json(&self) -> Result<Json> {
        let mut json = self.compile.to_json()?;
        if let Some(optimizer) = &self.optimizer {
            json["optimizer"] = optimizer.to_json().map_err(|e| e.under("optimizer"))?;
        }
        Ok(json)
    }

    /// The optimizer at work.
    ///
    /// # Errors
    /// If the model is not built yet.
    pub fn optimizer(&mut self) -> Result<&mut OptimizerState> {
        self.optimizer.as_mut().ok_or_else(|| {
            Error::training("the model is not built yet: call `build` or `fit` first")
        })
    }

    /// The optimizer at work; `None` if the model is not built yet.
    pub fn optimizer_state(&self) -> Option<&OptimizerState> {
        self.optimizer.as_ref()
    }

    /// The name of every value that a run logs, without `val_`, and which way it gets better.
    pub fn logged(&self) -> Logged {
        let metrics = self.compile.metrics.iter().chain(&self.compile.weighted_metrics);
        let goals = metrics.map(|metric| Goal::of_metric(metric.class_name()));
        let names = self.names.iter().cloned().zip(goals);
        Logged(std::iter::once(("loss".to_string(), Some(Goal::Min))).chain(names).collect())
    }

    pub(crate) fn reset_metrics(&mut self) {
        self.loss_mean.reset();
        self.metrics.iter_mut().for_each(|m| m.reset());
    }

    pub(crate) fn update_metrics(
        &mut self,
        loss: &Tensor,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<()> {
        let rows = y_pred.dims().first().copied().unwrap_or(1) as f64;
        self.loss_mean.add(loss, rows)?;
        let plain = self.metrics.len() - self.weighted;
        for (index, metric) in self.metrics.iter_mut().enumerate() {
            let weight = if index < plain { None } else { sample_weight };
            metric.update(y_true, y_pred, weight)?;
        }
        Ok(())
    }

    pub(crate) fn logs(&self) -> Result<Logs> {
        let mut logs = Logs(vec![("loss".to_string(), self.loss_mean.result()?)]);
        for (name, metric) in self.names.iter().zip(&self.metrics) {
            logs.0.push((name.clone(), metric.result()?));
        }
        Ok(logs)
    }
}
