//! One training step: forward, loss, backward, update. And the loss of a batch.

use crate::compile::Compiled;
use crate::losses::reduce::reduce;
use sconce_core::{Context, Error, GradientSink, Result, Tape, Tensor};
use sconce_model::Network;

/// One batch on the model's device.
pub struct Batch {
    /// Inputs.
    pub x: Vec<Tensor>,
    /// Targets.
    pub y: Tensor,
    /// Weight of each sample.
    pub sample_weight: Option<Tensor>,
}

/// The loss of a batch (with penalties) and the model's output.
pub(crate) struct Outcome {
    pub loss: Tensor,
    pub y_pred: Tensor,
}

/// Forward and loss.
pub(crate) fn forward(
    network: &Network,
    compiled: &Compiled,
    batch: &Batch,
    cx: &mut Context,
) -> Result<Outcome> {
    let outputs = network.forward(&batch.x, cx)?;
    let [y_pred] = <[Tensor; 1]>::try_from(outputs).map_err(|o| {
        Error::training(format!("training takes one output, the model has {}", o.len()))
    })?;
    let loss = compiled.compile().loss.get()?;
    let values = loss.per_sample(&batch.y, &y_pred)?;
    let mut total = reduce(values, batch.sample_weight.as_ref(), loss.reduction())?;
    if let Some(weight) = compiled.compile().loss_weights {
        total = (total * weight)?;
    }
    for parameter in network.store().trainable() {
        if let Some(regularizer) = &parameter.regularizer {
            total = (total + regularizer.penalty(parameter.var.as_tensor())?)?;
        }
    }
    for loss in cx.take_losses() {
        total = (total + loss)?;
    }
    Ok(Outcome { loss: total, y_pred })
}

/// A whole step; metrics take in the batch.
pub(crate) fn train(
    (network, compiled, sink): (&mut Network, &mut Compiled, &mut GradientSink),
    batch: &Batch,
    seed: u64,
    first: bool,
) -> Result<()> {
    let step = compiled.optimizer()?.iterations;
    let mut cx = Context::training(seed, step);
    let (outcome, tape) = Tape::record(|| forward(network, compiled, batch, &mut cx));
    let outcome = outcome?;
    // Reading a loss on the CPU is free; elsewhere it is read in the first step and at the end of
    // the epoch only.
    if (first || outcome.loss.device().is_cpu()) && !finite(&outcome.loss)? {
        return Err(non_finite(network, batch, seed, step));
    }
    let scaled = match compiled.optimizer()?.rule().common().loss_scale_factor {
        Some(factor) => &(&outcome.loss * factor)?,
        None => &outcome.loss,
    };
    let gradients = network.store().backward_into(scaled, &tape, sink)?;
    if first {
        gradients.audit(network.store())?;
    }
    compiled.optimizer()?.apply(network.store(), &gradients)?;
    cx.apply_updates()?;
    compiled.update_metrics(
        &outcome.loss,
        &batch.y,
        &outcome.y_pred.detach(),
        batch.sample_weight.as_ref(),
    )
}

/// Loss and metrics of a batch, without training.
pub(crate) fn test(network: &Network, compiled: &mut Compiled, batch: &Batch) -> Result<()> {
    let outcome = forward(network, compiled, batch, &mut Context::inference())?;
    compiled.update_metrics(
        &outcome.loss.detach(),
        &batch.y,
        &outcome.y_pred.detach(),
        batch.sample_weight.as_ref(),
    )
}

fn finite(loss: &Tensor) -> Result<bool> {
    Ok(loss.to_dtype(sconce_core::DType::F32)?.to_scalar::<f32>()?.is_finite())
}

/// The error of a loss that is not finite, with the first layer to blame.
fn non_finite(network: &Network, batch: &Batch, seed: u64, step: u64) -> Error {
    let mut cx = Context::training(seed, step);
    let place = match network.first_non_finite(&batch.x, &mut cx) {
        Ok(Some(layer)) => format!("the first layer whose output is not finite is `{layer}`"),
        _ => "every layer's output is finite, so the loss itself or a penalty is not".to_string(),
    };
    Error::training(format!(
        "the loss is not finite at update {}; {place}. This update was not made. Try a smaller learning \
         rate, clipnorm, or check the data",
        step + 1
    ))
}
