//! `evaluate`, `predict` and the single-batch methods.

use crate::fit::source_of;
use crate::history::Scores;
use crate::model::{Model, Parts};
use crate::prepare::{self, TRAINING, batch_for};
use crate::step;
use sconce_core::{Context, Error, Result, Tensor};
use sconce_data::{Batch, BatchOptions, BatchPlan, BatchSource, Shuffle, ToTensors};

/// Keras's default batch size.
pub const BATCH_SIZE: usize = 32;

impl Model {
    /// Loss and metrics on data, in batches of 32.
    pub fn evaluate(
        &mut self,
        x: &(impl ToTensors + ?Sized),
        y: &(impl ToTensors + ?Sized),
    ) -> Result<Scores> {
        self.evaluate_with(x, y, BATCH_SIZE, None)
    }

    /// Loss and metrics on data, with a batch size and sample weights (for all outputs).
    pub fn evaluate_with(
        &mut self,
        x: &(impl ToTensors + ?Sized),
        y: &(impl ToTensors + ?Sized),
        batch_size: usize,
        sample_weight: Option<&Tensor>,
    ) -> Result<Scores> {
        let sample_weight = sample_weight.map(|weight| Some(weight.clone())).into_iter().collect();
        let data = Batch { x: x.to_tensors()?, y: y.to_tensors()?, sample_weight };
        finite(self.evaluate_batch(data, batch_size)?)
    }

    /// Loss and metrics on arrays, finite or not.
    pub(crate) fn evaluate_batch(&mut self, data: Batch, batch_size: usize) -> Result<Scores> {
        let data = prepare::prepare(self, data, TRAINING, true)?;
        let options = BatchOptions { batch_size, shuffle: Shuffle::Off, ..BatchOptions::default() };
        evaluate_source(self, &source_of(data, options)?)
    }

    /// Loss and metrics on the batches of a source.
    pub fn evaluate_source(&mut self, source: &dyn BatchSource) -> Result<Scores> {
        prepare::build_for_source(self, source.spec())?;
        let first = source.checked_batches(0, 0)?.next().transpose()?;
        let first = first.ok_or_else(|| Error::data("the source has no batches"))?;
        prepare::prepare(self, first, TRAINING, false)?;
        finite(evaluate_source(self, source)?)
    }

    /// The model's output for data, in batches of 32.
    pub fn predict(&self, x: &(impl ToTensors + ?Sized)) -> Result<Tensor> {
        self.predict_with(x, BATCH_SIZE)
    }

    /// The model's output for data, with a batch size.
    ///
    /// # Errors
    /// If it has several outputs, see [`Model::predict_all`].
    pub fn predict_with(&self, x: &(impl ToTensors + ?Sized), batch_size: usize) -> Result<Tensor> {
        let outputs = self.predict_all(x, batch_size)?;
        <[Tensor; 1]>::try_from(outputs).map(|[output]| output).map_err(|outputs| {
            let message = format!("the model has {} outputs: use `predict_all`", outputs.len());
            Error::config("", message)
        })
    }

    /// Every output of the model for data, with a batch size.
    pub fn predict_all(
        &self,
        x: &(impl ToTensors + ?Sized),
        batch_size: usize,
    ) -> Result<Vec<Tensor>> {
        let x = prepare::to_model(self, x.to_tensors()?)?;
        let network = self.network()?;
        let rows = sconce_data::check::rows(x.iter().map(|x| ("x", x)))?;
        let plan = BatchPlan::new(rows, batch_size)?;
        let mut outputs: Vec<Vec<Tensor>> = vec![Vec::new(); network.graph().outputs().len()];
        for range in plan.batches(0) {
            let batch: Vec<Tensor> = x
                .iter()
                .map(|x| x.narrow(0, range.start, range.len()))
                .collect::<candle_core::Result<_>>()?;
            let mut cx = Context::inference();
            let made = network.forward(&batch, &mut cx)?;
            cx.apply_updates()?;
            for (output, made) in outputs.iter_mut().zip(made) {
                output.push(made.detach());
            }
        }
        outputs.iter().map(|batches| Ok(Tensor::cat(batches, 0)?)).collect()
    }

    /// One update on one batch; loss and metrics of that batch.
    pub fn train_on_batch(
        &mut self,
        x: &(impl ToTensors + ?Sized),
        y: &(impl ToTensors + ?Sized),
    ) -> Result<Scores> {
        let data = Batch { x: x.to_tensors()?, y: y.to_tensors()?, sample_weight: Vec::new() };
        let data = prepare::prepare(self, data, TRAINING, true)?;
        let seed = self.run_seed();
        let compiled = self.compiled_mut()?;
        compiled.reset_metrics();
        let first = compiled.optimizer()?.iterations == 0;
        step::train(self.parts()?, &data, seed, first, None)?;
        self.compiled()?.logs()
    }

    /// Loss and metrics of one batch.
    pub fn test_on_batch(
        &mut self,
        x: &(impl ToTensors + ?Sized),
        y: &(impl ToTensors + ?Sized),
    ) -> Result<Scores> {
        self.evaluate_with(x, y, usize::MAX, None)
    }

    /// The model's output for one batch.
    pub fn predict_on_batch(&self, x: &(impl ToTensors + ?Sized)) -> Result<Tensor> {
        self.predict_with(x, usize::MAX)
    }
}

/// Loss and metrics on the batches of a source that the model was prepared for.
pub(crate) fn evaluate_source(model: &mut Model, source: &dyn BatchSource) -> Result<Scores> {
    model.compiled_mut()?.reset_metrics();
    let Parts { network, compiled, .. } = model.parts()?;
    for batch in source.checked_batches(0, 0)? {
        let batch = batch?;
        let batch = batch_for(network, compiled, &batch)?;
        step::test(network, compiled, &batch)?;
    }
    compiled.logs()
}

fn finite(scores: Scores) -> Result<Scores> {
    match scores.0.first() {
        Some((_, loss)) if !loss.is_finite() => Err(Error::training(
            "the loss on this data is not finite; check the data and the weights",
        )),
        _ => Ok(scores),
    }
}
