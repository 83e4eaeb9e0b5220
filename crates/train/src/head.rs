//! One output of a compiled model: its loss and its metrics.

use crate::losses::{LossFn, Outputs, reduce};
use crate::metrics::{self, Goal, Mean, MetricFn, MetricState};
use sconce_core::{DType, Dims, Error, Result, Tensor, Value};
use std::collections::HashMap;

/// Loss, loss weight and metrics of one output.
pub struct Head {
    name: String,
    /// Whether the model has other outputs too: names in logs then begin with this one's.
    several: bool,
    loss: Option<LossFn>,
    weight: Option<f64>,
    metrics: Vec<MetricFn>,
    weighted: Vec<MetricFn>,
    /// The metrics at work, weighted ones last; none before there are targets.
    tracked: Vec<TrackedMetric>,
    mean_loss: Mean,
    /// Whether the outputs are logits since the model says so, not the loss.
    inferred_logits: bool,
}

/// A metric with its state.
pub struct TrackedMetric {
    /// Its name in logs.
    pub log_name: String,
    /// Its own name.
    name: String,
    metric: MetricFn,
    weighted: bool,
    /// What it accumulated.
    pub state: Box<dyn MetricState>,
}

impl TrackedMetric {
    /// Whether lower or higher is better, if that is known.
    pub fn goal(&self) -> Option<Goal> {
        self.metric.get().ok().and_then(|metric| metric.goal())
    }
}

/// The targets of an output, to check them.
pub(crate) struct Target<'a> {
    /// What they are called in messages.
    pub name: String,
    pub y_true: &'a Tensor,
    pub y_pred: &'a Dims,
    pub sample_weight: Option<&'a Tensor>,
    /// Whether these are all targets there are, so that their values are worth a look.
    pub whole: bool,
}

impl Head {
    pub(crate) fn new(
        name: String,
        several: bool,
        loss: Option<LossFn>,
        weight: Option<f64>,
        metrics: Vec<MetricFn>,
        weighted: Vec<MetricFn>,
    ) -> Self {
        Self {
            name,
            several,
            loss,
            weight,
            metrics,
            weighted,
            tracked: Vec::new(),
            mean_loss: Mean::default(),
            inferred_logits: false,
        }
    }

    /// The name of the output.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The loss, with what it left out filled in; `None` for an output without.
    pub fn loss(&self) -> Option<&LossFn> {
        self.loss.as_ref()
    }

    /// The factor on the loss.
    pub fn weight(&self) -> Option<f64> {
        self.weight
    }

    /// The metrics as files hold them.
    pub fn metrics(&self) -> &[MetricFn] {
        &self.metrics
    }

    /// The weighted metrics as files hold them.
    pub fn configured_weighted_metrics(&self) -> &[MetricFn] {
        &self.weighted
    }

    /// The name of this loss in logs.
    pub(crate) fn loss_name(&self) -> String {
        format!("{}_loss", self.name)
    }

    /// Fills in what the loss left out; a notice if that was a decision.
    pub(crate) fn resolve_loss(&mut self, outputs: &Outputs<'_>) -> Result<Option<String>> {
        let Some(loss) = &self.loss else { return Ok(None) };
        let Some(resolved) = loss.get()?.resolve(outputs)? else { return Ok(None) };
        self.inferred_logits = outputs.logits;
        let notice = outputs.logits.then(|| {
            let of = if self.several { format!(" `{}`", self.name) } else { "s".to_string() };
            format!(
                "{} takes the model's output{of} as logits (from_logits=True), since the model does \
                 not end in a softmax or sigmoid",
                resolved.name()
            )
        });
        self.loss = Some(resolved);
        Ok(notice)
    }

    /// Refuses targets that do not match the output, and starts the metrics.
    pub(crate) fn bind(&mut self, target: &Target<'_>, logits: bool) -> Result<()> {
        let y_true = target.y_true.dims();
        if let Some(loss) = &self.loss {
            let loss = loss.get()?;
            loss.check_shape(&target.name, y_true, target.y_pred)?;
            if target.whole {
                loss.check_values(&target.name, target.y_true, target.y_pred)?;
            }
            if let Some(weight) = target.sample_weight {
                reduce::check_weight(weight.dims(), &loss.values_dims(target.y_pred)?)?;
            }
        }
        if self.tracked.is_empty() {
            self.start_metrics(target, logits)?;
        }
        for tracked in &self.tracked {
            tracked.metric.get()?.check_shape(&target.name, y_true, target.y_pred)?;
        }
        Ok(())
    }

    fn start_metrics(&mut self, target: &Target<'_>, logits: bool) -> Result<()> {
        let says = match &self.loss {
            Some(loss) => loss.get()?.takes_logits().flatten(),
            None => None,
        };
        let outputs = Outputs {
            y_pred: target.y_pred,
            y_true: Some(target.y_true.dims()),
            logits: says.unwrap_or(logits),
            inferred: self.inferred_logits,
        };
        for (metrics, weighted) in [(&mut self.metrics, false), (&mut self.weighted, true)] {
            for metric in metrics {
                let name = metrics::log_name(metric)?;
                let complete = metrics::resolve(metric, target.y_true.dims(), &outputs)?;
                // To Keras, what is left out means probabilities: a file must say otherwise.
                if let (Some(complete), true) = (&complete, outputs.logits) {
                    *metric = complete.clone();
                }
                let metric = complete.unwrap_or_else(|| metric.clone());
                let state = metric.get()?.new_state();
                let log_name = name.clone();
                self.tracked.push(TrackedMetric { log_name, name, metric, weighted, state });
            }
        }
        Ok(())
    }

    /// Names all metrics of a model, see [`unique_names`].
    pub(crate) fn make_names_unique(heads: &mut [Self]) {
        let mut metrics = Vec::new();
        for head in heads.iter_mut() {
            let prefix = if head.several { format!("{}_", head.name) } else { String::new() };
            metrics.extend(head.tracked.iter_mut().map(|tracked| (prefix.clone(), tracked)));
        }
        // As in Keras, all plain metrics come before all weighted ones.
        metrics.sort_by_key(|(_, tracked)| tracked.weighted);
        let stated: Vec<(&str, &str, bool)> =
            metrics.iter().map(|(p, t)| (p.as_str(), t.name.as_str(), t.weighted)).collect();
        let names = unique_names(&stated);
        for ((_, tracked), name) in metrics.into_iter().zip(names) {
            tracked.log_name = name;
        }
    }

    pub(crate) fn plain_metrics(&self) -> impl Iterator<Item = &TrackedMetric> {
        self.tracked.iter().filter(|tracked| !tracked.weighted)
    }

    pub(crate) fn weighted_metrics(&self) -> impl Iterator<Item = &TrackedMetric> {
        self.tracked.iter().filter(|tracked| tracked.weighted)
    }

    /// The loss of a batch, without its weight; `None` for an output without a loss.
    pub(crate) fn loss_of(
        &self,
        y_true: Option<&Tensor>,
        y_pred: &Value,
        sample_weight: Option<&Tensor>,
    ) -> Result<Option<Tensor>> {
        let Some(loss) = &self.loss else { return Ok(None) };
        let y_true = y_true.ok_or_else(|| {
            Error::data(format!("the output `{}` has a loss and no targets", self.name))
        })?;
        let loss = loss.get()?;
        let mut values = loss.per_sample(y_true, &y_pred.tensor)?;
        if let Some(mask) = &y_pred.mask {
            let mask = mask_for(mask, &values.values, &self.name)?;
            values.mask = Some(match values.mask {
                Some(other) => (other.to_dtype(mask.dtype())? * mask)?,
                None => mask,
            });
        }
        Ok(Some(reduce::reduce(values, sample_weight, loss.reduction())?))
    }

    pub(crate) fn add_loss(&mut self, loss: &Tensor, rows: f64) -> Result<()> {
        self.mean_loss.add(loss, rows)
    }

    pub(crate) fn mean_loss(&self) -> Result<f64> {
        self.mean_loss.result()
    }

    /// Adds a batch to the metrics.
    pub(crate) fn update(
        &mut self,
        y_true: &Tensor,
        y_pred: &Value,
        sample_weight: Option<&Tensor>,
    ) -> Result<()> {
        if self.tracked.is_empty() {
            return Ok(());
        }
        let tensor = y_pred.tensor.detach();
        for tracked in &mut self.tracked {
            let weight = if tracked.weighted { sample_weight } else { None };
            let masked = match &y_pred.mask {
                Some(mask) if tracked.state.takes_mask() => Some(masked_weight(weight, mask)?),
                _ => None,
            };
            tracked.state.update(y_true, &tensor, masked.as_ref().or(weight))?;
        }
        Ok(())
    }

    /// What loss and metrics have accumulated.
    pub(crate) fn metric_states(&self) -> Result<Vec<Vec<Tensor>>> {
        let metrics = self.tracked.iter().map(|tracked| tracked.state.state());
        std::iter::once(self.mean_loss.state()).chain(metrics).collect()
    }

    /// Takes them back, one after the other.
    pub(crate) fn restore_metrics<'a>(
        &mut self,
        next: &mut impl FnMut() -> Result<&'a Vec<Tensor>>,
    ) -> Result<()> {
        self.mean_loss.restore(next()?)?;
        self.tracked.iter_mut().try_for_each(|tracked| tracked.state.restore(next()?))
    }

    pub(crate) fn reset(&mut self) {
        self.mean_loss.reset();
        self.tracked.iter_mut().for_each(|tracked| tracked.state.reset());
    }

    /// The type targets are brought to.
    pub(crate) fn target_dtype(&self) -> Result<Option<DType>> {
        self.loss.as_ref().map(|loss| Ok(loss.get()?.target_dtype())).transpose()
    }
}

/// Names of metrics (prefix, name, whether weighted) as Keras makes them unique: `accuracy`,
/// `accuracy_1`, `weighted_accuracy` for a weighted one whose name is taken; with several outputs
/// `a_accuracy`, `a_weighted_accuracy`.
fn unique_names(metrics: &[(&str, &str, bool)]) -> Vec<String> {
    let mut used: HashMap<String, usize> = HashMap::new();
    let unique = |(prefix, name, weighted): &(&str, &str, bool)| {
        let mut full = format!("{prefix}{name}");
        if *weighted && used.contains_key(&full) {
            full = format!("{prefix}weighted_{name}");
        }
        let count = used.entry(full.clone()).or_default();
        *count += 1;
        if *count == 1 { full } else { format!("{full}_{}", *count - 1) }
    };
    metrics.iter().map(unique).collect()
}

/// The weights of a metric with a mask: those of masked steps are 0. Keras's `apply_mask`.
fn masked_weight(weight: Option<&Tensor>, mask: &Tensor) -> Result<Tensor> {
    let Some(weight) = weight else { return Ok(mask.to_dtype(DType::F32)?) };
    let mask = mask.to_dtype(weight.dtype())?;
    if weight.rank() >= mask.rank() {
        return Ok((weight * mask)?);
    }
    Ok(weight.reshape((weight.elem_count(), 1))?.broadcast_mul(&mask)?)
}

/// A mask `[batch, time]` in the shape of the values of a loss.
fn mask_for(mask: &Tensor, values: &Tensor, output: &str) -> Result<Tensor> {
    let mask = mask.to_dtype(values.dtype())?;
    if mask.dims() == values.dims() {
        return Ok(mask);
    }
    if values.dims().starts_with(mask.dims()) {
        let mut shape = mask.dims().to_vec();
        shape.resize(values.rank(), 1);
        return Ok(mask.reshape(shape)?.broadcast_as(values.shape())?.contiguous()?);
    }
    Err(Error::training(format!(
        "the mask of the output `{output}` has shape {:?}, its losses {:?}",
        mask.dims(),
        values.dims()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::SparseCategoricalCrossentropy;
    use sconce_core::Device;

    fn tensor(values: &[f32], dims: &[usize]) -> Tensor {
        Tensor::from_slice(values, dims, &Device::Cpu).unwrap()
    }

    /// A step counts if neither the loss nor a layer excludes it.
    #[test]
    fn the_masks_of_the_loss_and_of_layers_both_count() {
        let loss = SparseCategoricalCrossentropy::new().from_logits(true).ignore_class(1);
        let head = Head::new("a".to_string(), false, Some(loss.into()), None, vec![], vec![]);
        let labels = Tensor::new(&[[0i64, 1, 0]], &Device::Cpu).unwrap();
        let y_pred = Value {
            tensor: tensor(&[0.0, 0.0, 3.0, 0.0, 0.0, 5.0], &[1, 3, 2]),
            mask: Some(Tensor::new(&[[1u8, 1, 0]], &Device::Cpu).unwrap()),
        };
        let loss = head.loss_of(Some(&labels), &y_pred, None).unwrap().unwrap();
        let loss = loss.to_scalar::<f32>().unwrap();
        assert!((loss - std::f32::consts::LN_2).abs() < 1e-6, "{loss}");
    }

    /// As Keras's `MeanMetricWrapper` with `apply_mask`: masked steps do not count, the others by their
    /// row's weight. `RootMeanSquaredError` is none: it counts all steps.
    #[test]
    fn masks_exclude_steps_from_means() {
        let y_true = tensor(&[0.0; 4], &[2, 2, 1]);
        let y_pred = Value {
            tensor: tensor(&[1.0, 3.0, 2.0, 6.0], &[2, 2, 1]),
            mask: Some(Tensor::new(&[[1u8, 0], [1, 1]], &Device::Cpu).unwrap()),
        };
        for weight in [tensor(&[1.0, 2.0], &[2]), tensor(&[1.0, 1.0, 2.0, 2.0], &[2, 2])] {
            let metrics = || vec!["mae".into(), "root_mean_squared_error".into()];
            let mut head = Head::new("a".to_string(), false, None, None, metrics(), metrics());
            let target = Target {
                name: "y".to_string(),
                y_true: &y_true,
                y_pred: &Dims::batch_of(&[2, 1]),
                sample_weight: Some(&weight),
                whole: true,
            };
            head.bind(&target, false).unwrap();
            head.update(&y_true, &y_pred, Some(&weight)).unwrap();
            let results = head.tracked.iter().map(|tracked| tracked.state.result().unwrap());
            let expected = [3.0, 12.5f64.sqrt(), 3.4, 15f64.sqrt()];
            for (result, expected) in results.zip(expected) {
                assert!((result - expected).abs() < 1e-6, "{result}, expected {expected}");
            }
        }
    }

    #[test]
    fn names_are_made_unique_as_in_keras() {
        let metrics = ["acc", "mse", "acc"].map(|name| ("", name, false));
        let weighted = ["acc", "mae", "mse", "acc"].map(|name| ("", name, true));
        let names = unique_names(&[&metrics[..], &weighted[..]].concat());
        let expected =
            ["acc", "mse", "acc_1", "weighted_acc", "mae", "weighted_mse", "weighted_acc_1"];
        assert_eq!(names, expected);
        let outputs = [("a_", "acc", false), ("b_", "acc", false), ("b_", "acc", true)];
        assert_eq!(unique_names(&outputs), ["a_acc", "b_acc", "b_weighted_acc"]);
    }
}
