//! `compile`: how a model learns.

use crate::callbacks::{Goal, Logged};
use crate::compile_config::Execution;
use crate::history::Logs;
use crate::losses::{LossFn, Outputs, reduce};
use crate::metrics::{self, Mean, MetricFn, MetricState};
use crate::optimizers::{Optimizer, OptimizerState};
use sconce_core::{Dims, Error, Json, Result, Tensor};
use sconce_model::{EdgeId, Graph, Network};

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
    /// The states of the metrics, weighted ones last; none before there is data.
    metrics: Vec<Box<dyn MetricState>>,
    /// Their configurations, complete.
    resolved: Vec<MetricFn>,
    names: Vec<String>,
    loss_mean: Mean,
    /// Whether the outputs are logits since the model says so, not the loss.
    inferred_logits: bool,
    notices: Vec<String>,
    /// How many of them were shown.
    notices_shown: usize,
}

impl Compiled {
    pub(crate) fn new(compile: Compile) -> Result<Self> {
        compile.optimizer.get().map_err(|e| e.under("optimizer"))?;
        compile.loss.get().map_err(|e| e.under("loss"))?;
        for (key, metrics) in
            [("metrics", &compile.metrics), ("weighted_metrics", &compile.weighted_metrics)]
        {
            for (index, metric) in metrics.iter().enumerate() {
                metric.get().map_err(|e| e.under(&format!("{key}[{index}]")))?;
            }
        }
        Ok(Self {
            compile,
            optimizer: None,
            metrics: Vec::new(),
            resolved: Vec::new(),
            names: Vec::new(),
            loss_mean: Mean::default(),
            inferred_logits: false,
            notices: Vec::new(),
            notices_shown: 0,
        })
    }

    /// Resolves what the loss leaves out from the model's output, and creates the optimizer's
    /// variables.
    pub(crate) fn bind(&mut self, network: &Network) -> Result<()> {
        if self.optimizer.is_some() {
            return Ok(());
        }
        self.resolve_loss(network, None)?;
        self.notices.extend(constant_softmax(network.graph())?);
        self.optimizer = Some(OptimizerState::new(&self.compile.optimizer, network.store())?);
        Ok(())
    }

    /// Resolves what needs the shape of the targets, and refuses targets that do not match the
    /// model's output. `name` is what they are called in messages.
    pub(crate) fn bind_targets(
        &mut self,
        network: &Network,
        name: &str,
        y_true: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<()> {
        self.resolve_loss(network, Some(y_true.dims()))?;
        let y_pred = output_dims(network);
        let loss = self.compile.loss.get()?;
        loss.check_shape(name, y_true.dims(), &y_pred)?;
        loss.check_values(name, y_true, &y_pred)?;
        if let Some(weight) = sample_weight {
            reduce::check_weight(weight.dims(), &loss.values_dims(&y_pred)?)?;
        }
        if self.names.is_empty() {
            self.new_metrics(network, y_true.dims())?;
        }
        for metric in &self.resolved {
            metric.get()?.check_shape(name, y_true.dims(), &y_pred)?;
        }
        Ok(())
    }

    fn resolve_loss(&mut self, network: &Network, y_true: Option<&[usize]>) -> Result<()> {
        let logits = !network.graph().outputs_probabilities(0);
        let y_pred = output_dims(network);
        let outputs = Outputs { y_pred: &y_pred, y_true, logits, inferred: true };
        let Some(resolved) = self.compile.loss.get()?.resolve(&outputs)? else { return Ok(()) };
        self.inferred_logits = logits;
        if logits {
            let notice = format!(
                "{} takes the model's outputs as logits (from_logits=True), since the model does not \
                 end in a softmax or sigmoid",
                resolved.name()
            );
            tracing::info!("{notice}");
            self.notices.push(notice);
        }
        self.compile.loss = resolved;
        Ok(())
    }

    fn new_metrics(&mut self, network: &Network, y_true: &[usize]) -> Result<()> {
        let says = self.compile.loss.get()?.takes_logits().flatten();
        let y_pred = output_dims(network);
        let outputs = Outputs {
            y_pred: &y_pred,
            y_true: Some(y_true),
            logits: says.unwrap_or(!network.graph().outputs_probabilities(0)),
            inferred: self.inferred_logits,
        };
        let Compile { metrics, weighted_metrics, .. } = &mut self.compile;
        let mut resolved = Vec::with_capacity(metrics.len() + weighted_metrics.len());
        let mut names = [Vec::new(), Vec::new()];
        for (names, metrics) in names.iter_mut().zip([metrics, weighted_metrics]) {
            for metric in metrics {
                names.push(metrics::log_name(metric)?);
                let complete = metrics::resolve(metric, y_true, &outputs)?;
                // To Keras, what is left out means probabilities: a file must say otherwise.
                if let (Some(complete), true) = (&complete, outputs.logits) {
                    *metric = complete.clone();
                }
                resolved.push(complete.unwrap_or_else(|| metric.clone()));
            }
        }
        self.names = metrics::unique_names(&names[0], &names[1]);
        self.metrics =
            resolved.iter().map(|metric| Ok(metric.get()?.new_state())).collect::<Result<_>>()?;
        self.resolved = resolved;
        Ok(())
    }

    /// Decisions made where the configuration leaves something out, a line each.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The notices that were not returned yet, to show each once.
    pub fn new_notices(&mut self) -> &[String] {
        let new = self.notices.get(self.notices_shown..).unwrap_or(&[]);
        self.notices_shown = self.notices.len();
        new
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

    /// The optimizer's state.
    ///
    /// # Errors
    /// If the model is not built yet.
    pub fn optimizer(&mut self) -> Result<&mut OptimizerState> {
        self.optimizer.as_mut().ok_or_else(|| {
            Error::training("the model is not built yet: call `build` or `fit` first")
        })
    }

    /// The optimizer's state; `None` if the model is not built yet.
    pub fn optimizer_state(&self) -> Option<&OptimizerState> {
        self.optimizer.as_ref()
    }

    /// The name of every value that a run logs, without `val_`, and which way it gets better.
    pub fn logged(&self) -> Logged {
        let goals = self.resolved.iter().map(|metric| metric.get().ok().and_then(|m| m.goal()));
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
        let plain = self.compile.metrics.len();
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

/// A notice for each layer that applies a softmax to an axis of size 1: its output is constant.
fn constant_softmax(graph: &Graph) -> Result<Vec<String>> {
    let mut notices = Vec::new();
    for node in graph.nodes() {
        let Some(entry) = graph.layers().get(node.layer) else { continue };
        let one = |edge: &EdgeId| graph.dims(*edge).0.last() == Some(&Some(1));
        if !node.outputs.iter().any(one) {
            continue;
        }
        let config = entry.layer.config()?;
        let activation = config.get("activation").and_then(Json::as_str).unwrap_or_default();
        if ["softmax", "log_softmax", "sparsemax"].contains(&activation) {
            notices.push(format!(
                "the layer {} applies {activation} to one unit, so its output is constant and nothing \
                 is learned through it; for two classes with one unit use sigmoid and \
                 binary_crossentropy",
                entry.name
            ));
        }
    }
    Ok(notices)
}

/// The shape of the model's only output.
fn output_dims(network: &Network) -> Dims {
    network.graph().output_dims().first().map(|dims| (*dims).clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::{BinaryCrossentropy, SparseCategoricalCrossentropy};
    use crate::optimizers::SGD;
    use crate::{Fit, Sequential, Verbose};
    use sconce_core::{Device, Stream};
    use sconce_layers::Dense;

    /// Points around a centre for each class.
    fn clusters(classes: i64) -> (Tensor, Tensor) {
        let mut stream = Stream::named(3, "clusters");
        let labels: Vec<i64> = (0..120).map(|row| row % classes).collect();
        let point = |label: &i64| {
            let angle = *label as f64 * std::f64::consts::TAU / classes as f64;
            [2.0 * angle.cos(), 2.0 * angle.sin()].map(|c| (c + 0.3 * stream.normal()) as f32)
        };
        let points: Vec<f32> = labels.iter().flat_map(point).collect();
        let x = Tensor::from_vec(points, (120, 2), &Device::Cpu).unwrap();
        (x, Tensor::from_vec(labels, 120, &Device::Cpu).unwrap())
    }

    fn model(units: usize, activation: &str) -> Sequential {
        Sequential::new().add(Dense::new(units).activation(activation))
    }

    fn compiled(units: usize, activation: &str, compile: Compile, y: &Tensor) -> Sequential {
        let mut model = model(units, activation);
        model.compile_with(compile).unwrap();
        let fit = Fit::new(30, 16).verbose(Verbose::Silent);
        model.fit_with(&clusters(if units == 1 { 2 } else { 4 }).0, y, fit).unwrap();
        model
    }

    fn from_logits(model: &Sequential) -> Json {
        model.compiled().unwrap().to_json().unwrap()["loss"]["config"]["from_logits"].clone()
    }

    #[test]
    fn logits_are_told_by_the_last_layer() {
        let (x, y) = clusters(4);
        let name = "sparse_categorical_crossentropy";
        let compile = || Compile::new(SGD::new(0.1), name).metrics(["accuracy"]);
        let mut logits = compiled(4, "linear", compile(), &y);
        assert_eq!(from_logits(&logits), true);
        assert!(logits.evaluate(&x, &y).unwrap().get("accuracy").unwrap() > 0.95);
        let compiled_logits = logits.compiled_mut().unwrap();
        let notice = compiled_logits.new_notices().concat();
        assert!(notice.contains("outputs as logits (from_logits=True)"), "{notice}");
        assert!(compiled_logits.new_notices().is_empty());
        assert_eq!(compiled_logits.notices().len(), 1);
        let probabilities = compiled(4, "softmax", compile(), &y);
        assert_eq!(from_logits(&probabilities), false);
        assert!(probabilities.compiled().unwrap().notices().is_empty());
        // What was said is obeyed.
        let loss = SparseCategoricalCrossentropy::new().from_logits(true);
        let said = compiled(4, "softmax", Compile::new(SGD::new(0.1), loss), &y);
        assert_eq!(from_logits(&said), true);
        assert!(said.compiled().unwrap().notices().is_empty());
    }

    #[test]
    fn binary_accuracy_of_logits_is_at_a_probability_of_one_half() {
        let (x, y) = clusters(2);
        let compile = Compile::new(SGD::new(0.01), "binary_crossentropy").metrics(["accuracy"]);
        let mut model = compiled(1, "linear", compile, &y);
        let logits = model.predict(&x).unwrap().flatten_all().unwrap();
        let hits = logits.gt(0.0).unwrap().to_dtype(sconce_core::DType::I64).unwrap();
        let hits = hits.eq(&y).unwrap().to_dtype(sconce_core::DType::F32).unwrap();
        let expected = f64::from(hits.mean_all().unwrap().to_scalar::<f32>().unwrap());
        let accuracy = model.evaluate(&x, &y).unwrap().get("accuracy").unwrap();
        assert!((accuracy - expected).abs() < 1e-6, "{accuracy} {expected}");
        // A file says so too, since 0.5 would be Keras's threshold for the name.
        let json = model.compiled().unwrap().to_json().unwrap();
        assert_eq!(json["metrics"][0]["class_name"], "BinaryAccuracy");
        assert_eq!(json["metrics"][0]["config"]["threshold"], 0.0);
        assert_eq!(json["metrics"][0]["config"]["name"], "accuracy");
        // An explicit value means what it means in Keras.
        let loss = BinaryCrossentropy::new().from_logits(true);
        let compile = Compile::new(SGD::new(0.01), loss).metrics(["accuracy"]);
        let model = compiled(1, "linear", compile, &y);
        let json = model.compiled().unwrap().to_json().unwrap();
        assert_eq!(json["metrics"][0]["config"]["threshold"], 0.5);
    }

    #[test]
    fn metrics_take_the_losss_outputs() {
        let (x, y) = clusters(4);
        let name = "sparse_categorical_crossentropy";
        let compile =
            Compile::new(SGD::new(0.1), name).metrics([name]).weighted_metrics([name, "acc"]);
        let mut model = compiled(4, "linear", compile, &y);
        let scores = model.evaluate(&x, &y).unwrap();
        let names = ["loss", name, &format!("weighted_{name}"), "acc"];
        assert_eq!(scores.names(), names);
        let loss = scores.get("loss").unwrap();
        assert!(names[1..3].iter().all(|name| (scores.get(name).unwrap() - loss).abs() < 1e-5));
    }

    #[test]
    fn crossentropy_goes_with_the_shapes() {
        let (_, y) = clusters(4);
        let compile = || Compile::new(SGD::new(0.1), "crossentropy");
        let model = compiled(4, "linear", compile(), &y);
        let class =
            |model: &Sequential| model.compiled().unwrap().compile().loss.class_name().to_string();
        assert_eq!(
            (class(&model), from_logits(&model)),
            ("SparseCategoricalCrossentropy".to_string(), Json::Bool(true))
        );
        let model = compiled(1, "sigmoid", compile(), &clusters(2).1);
        assert_eq!(
            (class(&model), from_logits(&model)),
            ("BinaryCrossentropy".to_string(), Json::Bool(false))
        );
    }

    #[test]
    fn targets_that_do_not_fit_are_refused_before_training() {
        let (x, y) = clusters(4);
        let refused = |loss: &str, metric: &str, y: &Tensor, fit: Fit| {
            let mut model = model(4, "linear");
            let compile = Compile::new(SGD::new(0.1), loss).metrics([metric]);
            model.compile_with(compile).unwrap();
            let fit = fit.verbose(Verbose::Silent);
            model.fit_with(&x, y, fit).unwrap_err().to_string()
        };
        let name = "sparse_categorical_crossentropy";
        let error = refused(name, "acc", &(&y + 1.0).unwrap(), Fit::default());
        assert!(error.contains("y holds the label 4 in row 3"), "{error}");
        let error = refused("mse", "acc", &y, Fit::default());
        assert!(error.contains("use the sparse_categorical_crossentropy loss"), "{error}");
        let error = refused(name, "mae", &y, Fit::default());
        assert!(error.contains("mean_absolute_error needs targets of the shape"), "{error}");
        let outside = (&y * 2.0).unwrap();
        let fit = Fit::default().validation_data(&x, &outside).unwrap();
        let error = refused(name, "acc", &y, fit);
        assert!(error.contains("validation y holds the label 4 in row 2"), "{error}");
        let weight = Tensor::ones((120, 4), sconce_core::DType::F32, &Device::Cpu).unwrap();
        let error = refused(name, "acc", &y, Fit::default().sample_weight(&weight).unwrap());
        assert!(error.contains("sample_weight has shape [120, 4]"), "{error}");
    }

    #[test]
    fn a_softmax_of_one_unit_is_noticed() {
        let notices = |units: usize, activation: &str| {
            let mut model = model(units, activation);
            model.compile_with(Compile::new(SGD::new(0.1), "mse")).unwrap();
            let (x, y) = clusters(2);
            let y = y.unsqueeze(1).unwrap().broadcast_as((120, units)).unwrap();
            let fit = Fit::default().verbose(Verbose::Silent);
            model.fit_with(&x, &y.contiguous().unwrap(), fit).unwrap();
            model.compiled_mut().unwrap().new_notices().concat()
        };
        let notice = notices(1, "softmax");
        assert!(notice.contains("applies softmax to one unit"), "{notice}");
        assert!(notice.contains("use sigmoid"), "{notice}");
        assert_eq!(notices(2, "softmax"), "");
        assert_eq!(notices(1, "sigmoid"), "");
    }

    #[test]
    fn unknown_metrics_are_refused_by_compile() {
        let mut model = model(4, "linear");
        let compile = Compile::new(SGD::new(0.1), "mse").weighted_metrics(["mae", "acuracy"]);
        let error = model.compile_with(compile).unwrap_err().to_string();
        assert!(error.starts_with("at `weighted_metrics[1]`: unknown metric `acuracy`"), "{error}");
    }
}
