//! One training step: forward, loss, backward, update. And the loss of a batch.

use crate::compiled::{Compiled, weight_of};
use crate::health::DeadUnits;
use crate::model::Parts;
use crate::non_finite::{self, Place};
use sconce_core::{Context, Error, Gradients, Result, Tensor, Value};
use sconce_data::Batch;
use sconce_model::{EdgeId, Network};
use std::collections::HashSet;

/// The loss of a batch (with penalties), that of each head without its weight, and the outputs.
pub(crate) struct Outcome {
    pub loss: Tensor,
    pub losses: Vec<Option<Tensor>>,
    pub y_pred: Vec<Value>,
}

/// Forward and loss; `units` sees the outputs of every layer.
pub(crate) fn forward(
    network: &Network,
    compiled: &Compiled,
    batch: &Batch,
    cx: &mut Context,
    units: Option<&mut DeadUnits>,
) -> Result<Outcome> {
    let y_pred = match units {
        None => network.forward_masked(&batch.x, cx)?,
        Some(units) => {
            network.forward_observed(&batch.x, cx, &mut |path, outputs| units.see(path, outputs))?
        }
    };
    let mut losses = Vec::with_capacity(y_pred.len());
    let mut total: Option<Tensor> = None;
    let add = |total: Option<Tensor>, more: Tensor| match total {
        Some(total) => total + more,
        None => Ok(more),
    };
    for (index, (head, y_pred)) in compiled.heads().iter().zip(&y_pred).enumerate() {
        let place = compiled.target_of(index, batch.y.len());
        let y_true = place.and_then(|place| batch.y.get(place));
        let loss = head.loss_of(y_true, y_pred, weight_of(&batch.sample_weight, index))?;
        if let Some(loss) = &loss {
            let weighted = match head.weight() {
                Some(weight) => (loss * weight)?,
                None => loss.clone(),
            };
            total = Some(add(total, weighted)?);
        }
        losses.push(loss);
    }
    for parameter in network.store().trainable() {
        if let Some(regularizer) = &parameter.regularizer {
            total = Some(add(total, regularizer.penalty(parameter.var.as_tensor())?)?);
        }
    }
    for loss in cx.take_losses() {
        total = Some(add(total, loss)?);
    }
    let loss = total.ok_or_else(|| Error::training("no output of the model has a loss"))?;
    Ok(Outcome { loss, losses, y_pred })
}

/// A whole step; metrics take in the batch.
pub(crate) fn train(
    parts: Parts<'_>,
    batch: &Batch,
    seed: u64,
    first: bool,
    place: Option<&Place<'_>>,
) -> Result<()> {
    let tape = parts.tape;
    // The tensors of a step that failed are not kept until the next one.
    update(parts, batch, seed, first, place).inspect_err(|_| tape.clear())
}

fn update(
    parts: Parts<'_>,
    batch: &Batch,
    seed: u64,
    first: bool,
    place: Option<&Place<'_>>,
) -> Result<()> {
    let Parts { network, compiled, sink, tape } = parts;
    let step = compiled.optimizer()?.iterations;
    let mut cx = Context::training(seed, step);
    // Looking reads the device, which elsewhere would wait for it.
    let on_cpu = network.device().is_cpu();
    let mut units = compiled.health.units.take_if(|_| on_cpu);
    let outcome =
        tape.record_anew(|| forward(network, compiled, batch, &mut cx, units.as_mut()))?;
    compiled.health.units = units.filter(|units| !units.is_empty());
    // Reading a loss on the CPU is free; elsewhere it is read in the first step and at the end of
    // the epoch only.
    if (first || on_cpu) && !finite(&outcome.loss)? {
        return Err(non_finite::error(network, compiled, batch, (seed, step), place));
    }
    let loss_scale = compiled.optimizer()?.loss_scale()?;
    let scaled = match loss_scale {
        Some(factor) => &(&outcome.loss * factor)?,
        None => &outcome.loss,
    };
    let gradients = network.store().backward_into(scaled, tape, sink)?;
    if first {
        audit(network, compiled, &gradients)?;
    }
    if on_cpu {
        compiled.look_at_gradients(&gradients, loss_scale)?;
    }
    compiled.optimizer()?.apply(network.store(), &gradients)?;
    cx.apply_updates()?;
    compiled.update_metrics(&outcome.loss.detach(), &outcome.losses, batch, &outcome.y_pred)
}

/// Loss and metrics of a batch, without training.
pub(crate) fn test(network: &Network, compiled: &mut Compiled, batch: &Batch) -> Result<()> {
    let mut cx = Context::inference();
    let outcome = forward(network, compiled, batch, &mut cx, None)?;
    cx.apply_updates()?;
    compiled.update_metrics(&outcome.loss, &outcome.losses, batch, &outcome.y_pred)
}

/// Refuses weights without a gradient, unless they lead only to outputs without a loss: those stay as
/// they are, as in Keras.
fn audit(network: &Network, compiled: &Compiled, gradients: &Gradients) -> Result<()> {
    let Err(error) = gradients.audit(network.store()) else { return Ok(()) };
    let graph = network.graph();
    let mut edges: Vec<EdgeId> = graph
        .outputs()
        .iter()
        .zip(compiled.heads())
        .filter(|(_, head)| head.loss().is_some())
        .map(|(edge, _)| *edge)
        .collect();
    // Those that a loss reads, and the layers that make them.
    let mut seen: HashSet<EdgeId> = edges.iter().copied().collect();
    let mut read: HashSet<&str> = HashSet::new();
    while let Some(edge) = edges.pop() {
        let (node, _) = graph.producer(edge);
        read.extend(graph.layers().get(node.layer).map(|layer| layer.name()));
        node.args.each(&mut |edge| {
            if seen.insert(*edge) {
                edges.push(*edge);
            }
        });
    }
    let without = network.store().trainable().zip(&gradients.0).filter(|(_, g)| g.is_none());
    let layer = |path: &str| path.split('/').next().unwrap_or_default().to_string();
    match without.into_iter().any(|(weight, _)| read.contains(layer(&weight.path).as_str())) {
        true => Err(error),
        false => Ok(()),
    }
}

fn finite(loss: &Tensor) -> Result<bool> {
    Ok(loss.to_dtype(sconce_core::DType::F32)?.to_scalar::<f32>()?.is_finite())
}
