//! Data on its way into a model: checked, in the types the model takes, on its device.

use crate::compiled::Compiled;
use crate::model::{Model, Parts};
use sconce_core::device::held_as;
use sconce_core::{DType, Device, Dims, Error, FirstValues, Result, Spec, Tensor};
use sconce_data::{Batch, SourceSpec, check};
use sconce_model::Network;
use std::borrow::Cow;

/// Inputs in the types that the model's inputs declare, on its device.
pub(crate) fn to_model(model: &Model, x: Vec<Tensor>) -> Result<Vec<Tensor>> {
    inputs_to(model.network()?, model.device(), x)
}

fn inputs_to(network: &Network, device: &Device, x: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let x = network.graph().cast_inputs(x)?;
    let moved = |x: Tensor| x.to_dtype(held_as(x.dtype(), device))?.to_device(device)?.contiguous();
    x.into_iter().map(|x| Ok(moved(x)?)).collect()
}

/// What data is called in messages.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    pub x: &'static str,
    pub y: &'static str,
}

/// Training data, or what stands in their place without a prefix.
pub(crate) const TRAINING: Names = Names { x: "x", y: "y" };
/// Validation data.
pub(crate) const VALIDATION: Names = Names { x: "validation x", y: "validation y" };

/// Checks arrays, builds the model for them if need be, and brings them to the model's types and
/// device. `whole`: they are all there is, so labels are checked too.
pub(crate) fn prepare(model: &mut Model, data: Batch, names: Names, whole: bool) -> Result<Batch> {
    for (index, weight) in data.sample_weight.iter().enumerate() {
        if index == 0 || weight.is_some() {
            check::training_data(&data.x, &data.y, weight.as_ref())?;
        }
    }
    if data.sample_weight.is_empty() {
        check::training_data(&data.x, &data.y, None)?;
    }
    model.compiled()?;
    if let Some(first) = data.x.first() {
        let dims = Dims::batch_of(first.dims().get(1..).unwrap_or(&[]));
        build(model, &Spec { dims, dtype: first.dtype() })?;
    }
    let device = model.device().clone();
    let Parts { network, compiled, .. } = model.parts()?;
    compiled.bind(network)?;
    let x = inputs_to(network, &device, data.x)?;
    for (dims, x) in network.graph().input_dims().into_iter().zip(&x) {
        if !dims.fits(x.dims()) {
            let name = names.x;
            let found = x.dims();
            return Err(Error::data(format!("{name} has shape {found:?}, the model takes {dims}")));
        }
    }
    compiled.bind_targets(network, names.y, &data.y, &data.sample_weight, whole)?;
    targets_to(compiled, &device, Batch { x, ..data })
}

/// Builds a model for data of a source, unless it has weights.
pub(crate) fn build_for_source(model: &mut Model, spec: &SourceSpec) -> Result<()> {
    match spec.x.first() {
        Some(first) => build(model, &Spec { dims: first.dims.clone(), dtype: first.dtype }),
        None => Err(Error::data("the source has no inputs")),
    }
}

fn build(model: &mut Model, spec: &Spec) -> Result<()> {
    let first = FirstValues::Seed(model.seed());
    model.build_for(Some(spec), first)
}

/// Targets and weights in the types that the losses take, on the device.
fn targets_to(compiled: &Compiled, device: &Device, data: Batch) -> Result<Batch> {
    let mut y = data.y;
    let count = y.len();
    for (index, head) in compiled.heads().iter().enumerate() {
        let place = compiled.target_of(index, count);
        if let Some(array) = place.and_then(|place| y.get_mut(place)) {
            let dtype = head.target_dtype()?.unwrap_or(array.dtype());
            *array = array.to_dtype(held_as(dtype, device))?.to_device(device)?.contiguous()?;
        }
    }
    let weight = |weight: Option<Tensor>| -> Result<Option<Tensor>> {
        let float = |w: Tensor| Ok(w.to_dtype(DType::F32)?.to_device(device)?.contiguous()?);
        weight.map(float).transpose()
    };
    let sample_weight = data.sample_weight.into_iter().map(weight).collect::<Result<_>>()?;
    Ok(Batch { x: data.x, y, sample_weight })
}

/// A batch of a source for a model that is bound: converted where it must be.
pub(crate) fn batch_for<'a>(
    network: &Network,
    compiled: &Compiled,
    batch: &'a Batch,
) -> Result<Cow<'a, Batch>> {
    let device = network.device();
    let graph = network.graph();
    let ready = |x: &Tensor, dtype: DType| {
        x.dtype() == held_as(dtype, device) && x.device().same_device(device) && x.is_contiguous()
    };
    let inputs_ready = batch.x.len() == graph.inputs().len()
        && graph.inputs().iter().zip(&batch.x).all(|(e, x)| ready(x, graph.spec(*e).dtype));
    compiled.check_targets("y", batch.y.len())?;
    let mut targets_ready = true;
    for (index, head) in compiled.heads().iter().enumerate() {
        let place = compiled.target_of(index, batch.y.len());
        if let (Some(dtype), Some(y)) = (head.target_dtype()?, place.and_then(|p| batch.y.get(p))) {
            targets_ready &= ready(y, dtype);
        }
    }
    let weights_ready = batch.sample_weight.iter().flatten().all(|w| ready(w, DType::F32));
    if inputs_ready && targets_ready && weights_ready {
        return Ok(Cow::Borrowed(batch));
    }
    let x = inputs_to(network, device, batch.x.clone())?;
    targets_to(compiled, device, Batch { x, ..batch.clone() }).map(Cow::Owned)
}
