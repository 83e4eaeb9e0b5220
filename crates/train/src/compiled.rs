//! A compiled model's learning: the optimizer with its state, and a head for each output.

use crate::callbacks::Logged;
use crate::compile::Compile;
use crate::head::{Head, Target};
use crate::health::Health;
use crate::history::Logs;
use crate::losses::Outputs;
use crate::metrics::{Goal, Mean};
use crate::optimizers::OptimizerState;
use sconce_core::{Error, Gradients, Json, Result, Tensor, Value};
use sconce_data::Batch;
use sconce_model::{EdgeId, Graph, Network};

/// What `compile` gave, and what training made of it.
pub struct Compiled {
    compile: Compile,
    optimizer: Option<OptimizerState>,
    /// One for each output; none before the model is built.
    heads: Vec<Head>,
    /// The loss of all heads together, with penalties.
    loss_mean: Mean,
    notices: Vec<String>,
    notices_shown: usize,
    pub(crate) health: Health,
}

impl Compiled {
    pub(crate) fn new(compile: Compile) -> Result<Self> {
        compile.optimizer.get().map_err(|e| e.under("optimizer"))?;
        for (at, loss) in compile.loss.values() {
            loss.get().map_err(|e| e.under(&format!("loss{at}")))?;
        }
        for (key, metrics) in
            [("metrics", &compile.metrics), ("weighted_metrics", &compile.weighted_metrics)]
        {
            for (at, metric) in metrics.values() {
                metric.get().map_err(|e| e.under(&format!("{key}{at}")))?;
            }
        }
        Ok(Self {
            compile,
            optimizer: None,
            heads: Vec::new(),
            loss_mean: Mean::default(),
            notices: Vec::new(),
            notices_shown: 0,
            health: Health::default(),
        })
    }

    /// Makes a head for each output, resolves what the losses left open, and gives every trainable
    /// weight its slots.
    pub(crate) fn bind(&mut self, network: &Network) -> Result<()> {
        if self.optimizer.is_some() {
            return Ok(());
        }
        let names = network.graph().output_names();
        let losses = self.compile.loss.resolve("loss", &names, false)?;
        let weights = match &self.compile.loss_weights {
            Some(weights) => weights.resolve("loss_weights", &names, true)?,
            None => vec![None; names.len()],
        };
        let metrics = self.compile.metrics.resolve("metrics", &names)?;
        let weighted = self.compile.weighted_metrics.resolve("weighted_metrics", &names)?;
        if losses.iter().all(Option::is_none) {
            return Err(Error::config("loss", "at least one output needs a loss"));
        }
        let several = names.len() > 1;
        let parts = losses.into_iter().zip(weights).zip(metrics.into_iter().zip(weighted));
        self.heads = names
            .into_iter()
            .zip(parts)
            .map(|(name, ((loss, weight), (metrics, weighted_metrics)))| {
                Head::new(name, several, loss, weight, metrics, weighted_metrics)
            })
            .collect();
        self.resolve_losses(network, None)?;
        let notices = constant_softmax(network.graph())?.into_iter().chain(frozen(network));
        notices.for_each(|notice| self.add_notice(notice));
        self.optimizer = Some(OptimizerState::new(&self.compile.optimizer, network.store())?);
        Ok(())
    }

    /// Fills in what the losses left out, now that the outputs (and perhaps targets) are known.
    fn resolve_losses(&mut self, network: &Network, y: Option<&[Option<&Tensor>]>) -> Result<()> {
        let dims = network.graph().output_dims();
        let mut notices = Vec::new();
        for (index, head) in self.heads.iter_mut().enumerate() {
            let y_true = y.and_then(|y| y.get(index).copied().flatten()).map(Tensor::dims);
            let logits = !network.graph().outputs_probabilities(index);
            let outputs = Outputs { y_pred: dims[index], y_true, logits, inferred: true };
            notices.extend(head.resolve_loss(&outputs)?);
        }
        notices.into_iter().for_each(|notice| self.add_notice(notice));
        Ok(())
    }

    /// Refuses a number of arrays of y that is neither that of the outputs nor that of the losses:
    /// targets of outputs without a loss may be left out.
    pub(crate) fn check_targets(&self, name: &str, count: usize) -> Result<()> {
        let outputs = self.heads.len();
        if count == outputs || count == self.losses() {
            return Ok(());
        }
        let names: Vec<&str> = self.heads.iter().map(Head::name).collect();
        Err(Error::data(format!(
            "{name} holds {count} array{}, the model has {outputs} output{} ({})",
            if count == 1 { "" } else { "s" },
            if outputs == 1 { "" } else { "s" },
            names.join(", ")
        )))
    }

    /// The outputs that so many targets are for: those with a loss, if that is their number, or all.
    pub fn names_of_targets(&self, count: usize) -> Vec<&str> {
        let all = count == self.heads.len() || count != self.losses();
        self.heads.iter().filter(|head| all || head.loss().is_some()).map(Head::name).collect()
    }

    /// How many outputs have a loss.
    fn losses(&self) -> usize {
        self.heads.iter().filter(|head| head.loss().is_some()).count()
    }

    /// Which of `count` arrays of y is the target of an output.
    pub(crate) fn target_of(&self, output: usize, count: usize) -> Option<usize> {
        if count == self.heads.len() {
            return Some(output);
        }
        let before = self.heads.get(..output)?.iter().filter(|head| head.loss().is_some()).count();
        self.heads.get(output)?.loss().map(|_| before)
    }

    /// Resolves what needs the shapes of the targets, and refuses targets that do not match the
    /// model's outputs. `name` is what they are called in messages. `whole`: they are all there is, so
    /// their values are checked too.
    pub(crate) fn bind_targets(
        &mut self,
        network: &Network,
        name: &str,
        y: &[Tensor],
        sample_weight: &[Option<Tensor>],
        whole: bool,
    ) -> Result<()> {
        self.check_targets(name, y.len())?;
        let target = |index| self.target_of(index, y.len()).and_then(|place| y.get(place));
        let y: Vec<Option<&Tensor>> = (0..self.heads.len()).map(target).collect();
        self.resolve_losses(network, Some(&y))?;
        let dims = network.graph().output_dims();
        for (index, head) in self.heads.iter_mut().enumerate() {
            let Some(y_true) = y[index] else { continue };
            let logits = !network.graph().outputs_probabilities(index);
            let target = Target {
                name: if dims.len() > 1 {
                    format!("{name} of `{}`", head.name())
                } else {
                    name.to_string()
                },
                y_true,
                y_pred: dims[index],
                sample_weight: weight_of(sample_weight, index),
                whole,
            };
            head.bind(&target, logits)?;
        }
        Head::make_names_unique(&mut self.heads);
        Ok(())
    }

    /// Tells the user something once: as an event for a program that listens to those, and by
    /// [`Compiled::new_notices`].
    pub(crate) fn add_notice(&mut self, notice: String) {
        tracing::info!("{notice}");
        self.notices.push(notice);
    }

    /// What a user should be told once, one line each: decisions made where nothing was said.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The notices that were not shown yet, to show each once.
    pub fn new_notices(&mut self) -> &[String] {
        let new = self.notices.get(self.notices_shown..).unwrap_or(&[]);
        self.notices_shown = self.notices.len();
        new
    }

    /// What was asked for.
    pub fn compile(&self) -> &Compile {
        &self.compile
    }

    /// The heads of the outputs, in order; none before the model is built.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// Keras's `compile_config`, with everything that was resolved, and the learning rate as it is
    /// now.
    ///
    /// # Errors
    /// If a part is the user's own code, which no file can hold.
    pub fn to_json(&self) -> Result<Json> {
        let mut json = match self.heads.is_empty() {
            true => self.compile.to_json()?,
            false => self.compile.resolved(&self.heads).to_json()?,
        };
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

    /// Looks whether gradients explode, if it is their turn.
    pub(crate) fn look_at_gradients(
        &mut self,
        gradients: &Gradients,
        loss_scale: Option<f64>,
    ) -> Result<()> {
        match &self.optimizer {
            Some(optimizer) => self.health.look_at(gradients, loss_scale, optimizer),
            None => Ok(()),
        }
    }

    /// The name of every value that a run logs, without `val_`, and which way it gets better.
    pub fn logged(&self) -> Logged {
        let mut logged = vec![("loss".to_string(), Some(Goal::Min))];
        if self.logs_losses() {
            let with_loss = self.heads.iter().filter(|head| head.loss().is_some());
            logged.extend(with_loss.map(|head| (head.loss_name(), Some(Goal::Min))));
        }
        logged.extend(self.heads.iter().flat_map(Head::plain_metrics).map(metric_goal));
        logged.extend(self.heads.iter().flat_map(Head::weighted_metrics).map(metric_goal));
        Logged(logged)
    }

    /// Whether each loss is logged: if there are several.
    fn logs_losses(&self) -> bool {
        self.losses() > 1
    }

    /// As [`Compiled::to_json`], with the learning rate as it was at first.
    pub(crate) fn configured(&self) -> Result<Json> {
        self.compile.resolved(&self.heads).to_json()
    }

    /// What has been accumulated: the loss of all heads, then of each head its loss and its metrics.
    pub(crate) fn metric_states(&self) -> Result<Vec<Vec<Tensor>>> {
        let mut states = vec![self.loss_mean.state()?];
        for head in &self.heads {
            states.extend(head.metric_states()?);
        }
        Ok(states)
    }

    /// Takes back what [`Compiled::metric_states`] gave.
    pub(crate) fn restore_metrics(&mut self, states: &[Vec<Tensor>]) -> Result<()> {
        let mut states = states.iter();
        let mut next = || {
            states.next().ok_or_else(|| Error::data("there are fewer metrics than the model has"))
        };
        self.loss_mean.restore(next()?)?;
        self.heads.iter_mut().try_for_each(|head| head.restore_metrics(&mut next))
    }

    pub(crate) fn reset_metrics(&mut self) {
        self.loss_mean.reset();
        self.heads.iter_mut().for_each(Head::reset);
    }

    /// Adds a batch: `loss` is the total, `losses` that of each head without its weight.
    pub(crate) fn update_metrics(
        &mut self,
        loss: &Tensor,
        losses: &[Option<Tensor>],
        batch: &Batch,
        y_pred: &[Value],
    ) -> Result<()> {
        let rows = |value: &Value| value.tensor.dims().first().copied().unwrap_or(1) as f64;
        self.loss_mean.add(loss, y_pred.first().map_or(1.0, rows))?;
        let track_losses = self.logs_losses();
        for (index, y_pred) in y_pred.iter().enumerate() {
            let place = self.target_of(index, batch.y.len());
            let Some(head) = self.heads.get_mut(index) else { break };
            if let (true, Some(Some(loss))) = (track_losses, losses.get(index)) {
                head.add_loss(&loss.detach(), rows(y_pred))?;
            }
            if let Some(y_true) = place.and_then(|place| batch.y.get(place)) {
                let weight = weight_of(&batch.sample_weight, index);
                head.update(y_true, y_pred, weight)?;
            }
        }
        Ok(())
    }

    pub(crate) fn logs(&self) -> Result<Logs> {
        let mut logs = Logs(vec![("loss".to_string(), self.loss_mean.result()?)]);
        if self.logs_losses() {
            for head in self.heads.iter().filter(|head| head.loss().is_some()) {
                logs.0.push((head.loss_name(), head.mean_loss()?));
            }
        }
        let metrics = self.heads.iter().flat_map(Head::plain_metrics);
        for metric in metrics.chain(self.heads.iter().flat_map(Head::weighted_metrics)) {
            logs.0.push((metric.log_name.clone(), metric.state.result()?));
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
        // A layer of the user's own may have no configuration to look at.
        let config = entry.layer().config().unwrap_or_default();
        let activation = config.get("activation").and_then(Json::as_str).unwrap_or_default();
        if ["softmax", "log_softmax", "sparsemax"].contains(&activation) {
            notices.push(format!(
                "the layer {} applies {activation} to one unit, so its output is constant and nothing \
                 is learned through it; for two classes with one unit use sigmoid and \
                 binary_crossentropy",
                entry.name()
            ));
        }
    }
    Ok(notices)
}

/// A notice for a model whose weights training cannot change.
fn frozen(network: &Network) -> Option<String> {
    if network.store().trainable().next().is_some() {
        return None;
    }
    let why = match network.store().parameters().iter().all(|parameter| parameter.is_state) {
        true => "has no trainable weights",
        false => "has all of its weights frozen (trainable=false)",
    };
    Some(format!("the model {why}, so training changes none of them"))
}

fn metric_goal(metric: &crate::head::TrackedMetric) -> (String, Option<Goal>) {
    (metric.log_name.clone(), metric.goal())
}

/// The sample weights of an output: one array stands for all of them.
pub(crate) fn weight_of(weights: &[Option<Tensor>], index: usize) -> Option<&Tensor> {
    match weights {
        [one] => one.as_ref(),
        weights => weights.get(index).and_then(Option::as_ref),
    }
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
        // Also where the loss takes for logits what the model makes probabilities.
        let loss = SparseCategoricalCrossentropy::new().from_logits(true);
        let compile = Compile::new(SGD::new(0.1), loss).metrics([name]);
        let scores = compiled(4, "softmax", compile, &y).evaluate(&x, &y).unwrap();
        let difference = scores.get("loss").unwrap() - scores.get(name).unwrap();
        assert!(difference.abs() < 1e-5, "{scores}");
    }

    #[test]
    fn crossentropy_goes_with_the_shapes() {
        let (_, y) = clusters(4);
        let compile = || Compile::new(SGD::new(0.1), "crossentropy");
        let model = compiled(4, "linear", compile(), &y);
        let class = |model: &Sequential| {
            model.compiled().unwrap().heads()[0].loss().unwrap().class_name().to_string()
        };
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
        let fit = Fit::default().validation_data(&x, &outside);
        let error = refused(name, "acc", &y, fit);
        assert!(error.contains("validation y holds the label 4 in row 2"), "{error}");
        let weight = Tensor::ones((120, 4), sconce_core::DType::F32, &Device::Cpu).unwrap();
        let error = refused(name, "acc", &y, Fit::default().sample_weight(&weight));
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
