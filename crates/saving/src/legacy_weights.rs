//! The weights of the older HDF5 format in a network: layers one after another, or by name.
//!
//! Keras lists the weights of a layer as its trainable ones, then the others. In a model inside the model
//! the order so depends on what was frozen when the file was written; there the names of the weights say
//! more, as long as they name the layers.
//!
//! Source: `load_weights_from_hdf5_group` of Keras 3.15, `preprocess_weights_for_loading` of Keras 2.15.

use crate::legacy_h5::LayerWeights;
use crate::{Array, layouts};
use sconce_core::{Device, Error, Result, Tensor, Weight};
use sconce_layers::{LayerEntry, layer};
use sconce_model::{GraphLayer, Network, legacy};
use std::collections::HashMap;
use std::sync::Arc;

/// How weights of the older format, or of a file whose model differs, are loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct WeightOptions {
    /// Layers of the same name get the weights, others keep theirs; else layers go by their order and all
    /// must be there.
    pub by_name: bool,
    /// Layers whose weights do not fit keep theirs.
    pub skip_mismatch: bool,
}

/// A weight and its new value.
type Assigned = (Arc<Weight>, Tensor);

/// Sets the weights of a network; nothing changes if one does not fit. Returns what was skipped.
///
/// # Errors
/// Everything that does not fit, unless it is to be skipped.
pub fn load(
    network: &Network,
    stored: &LayerWeights,
    options: WeightOptions,
) -> Result<Vec<String>> {
    let graph = network.graph();
    let functional = network.architecture().class_name() == "Functional";
    let order = graph.keras_order(functional)?;
    let layers: Vec<&LayerEntry> =
        order.into_iter().filter_map(|i| graph.layers().get(i)).collect();
    let pairs = match options.by_name {
        true => by_name(&layers, stored),
        false => by_order(&layers, stored)?,
    };
    let version = stored.keras_version.as_deref().map_or(1, legacy::major_of);
    let source = Source { version, backend: stored.backend.as_deref() };
    let mut assigned = Vec::new();
    let mut wrong = Vec::new();
    for (entry, name, weights) in pairs {
        match assign(entry, weights, source) {
            Ok(more) => assigned.extend(more),
            Err(error) => {
                wrong.push(format!("layer `{}` (`{name}` in the file): {error}", entry.name()))
            }
        }
    }
    if !wrong.is_empty() && !options.skip_mismatch {
        return Err(Error::data(format!("the weights do not fit the model: {}", wrong.join("; "))));
    }
    assigned.iter().try_for_each(|(weight, value)| weight.set(value))?;
    Ok(wrong)
}

/// Who wrote the weights.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// Major version of Keras.
    pub(crate) version: u32,
    pub(crate) backend: Option<&'a str>,
}

type Pair<'a> = (&'a LayerEntry, &'a str, &'a [(String, Array)]);

fn by_order<'a>(layers: &[&'a LayerEntry], stored: &'a LayerWeights) -> Result<Vec<Pair<'a>>> {
    let ours: Vec<&LayerEntry> =
        layers.iter().copied().filter(|entry| has_weights(entry)).collect();
    let theirs: Vec<_> = stored.layers.iter().filter(|(_, weights)| !weights.is_empty()).collect();
    if ours.len() != theirs.len() {
        let names = |list: Vec<&str>| list.join(", ");
        return Err(Error::data(format!(
            "the model has {} layers with weights ({}), the file {} ({}); load by name to take those that \
             both have",
            ours.len(),
            names(ours.iter().map(|entry| entry.name()).collect()),
            theirs.len(),
            names(theirs.iter().map(|(name, _)| name.as_str()).collect()),
        )));
    }
    // Keras 2 and 3 order layers of the same depth differently; names that are all there say it better.
    let place: HashMap<&str, usize> =
        theirs.iter().enumerate().map(|(i, (n, _))| (n.as_str(), i)).collect();
    let named =
        place.len() == theirs.len() && ours.iter().all(|entry| place.contains_key(entry.name()));
    let pair = |(i, entry): (usize, &&'a LayerEntry)| {
        let at = if named { place.get(entry.name()).copied() } else { Some(i) };
        let (name, weights) = theirs.get(at?)?;
        Some((*entry, name.as_str(), weights.as_slice()))
    };
    Ok(ours.iter().enumerate().filter_map(pair).collect())
}

fn by_name<'a>(layers: &[&'a LayerEntry], stored: &'a LayerWeights) -> Vec<Pair<'a>> {
    let pair = |entry: &&'a LayerEntry| {
        let (name, weights) = stored.layers.iter().find(|(name, _)| name == entry.name())?;
        (has_weights(entry) || !weights.is_empty()).then_some((
            *entry,
            name.as_str(),
            weights.as_slice(),
        ))
    };
    layers.iter().filter_map(pair).collect()
}

fn has_weights(entry: &LayerEntry) -> bool {
    let mut found = false;
    entry.walk("", &mut |_, entry, _| found |= !entry.weights().is_empty());
    found
}

/// A layer that is no model, and no wrapper of one: what weights and their layouts belong to.
struct Unit<'a> {
    entry: &'a LayerEntry,
    trainable: Vec<Arc<Weight>>,
    rest: Vec<Arc<Weight>>,
}

impl Unit<'_> {
    fn len(&self) -> usize {
        self.trainable.len() + self.rest.len()
    }

    fn weights(&self) -> impl Iterator<Item = &Arc<Weight>> {
        self.trainable.iter().chain(&self.rest)
    }
}

/// The units inside a layer, in the order of their weights.
fn units<'a>(entry: &'a LayerEntry, frozen: bool, out: &mut Vec<Unit<'a>>) -> Result<()> {
    let frozen = frozen || !entry.is_trainable();
    if let Some(model) = entry.downcast::<GraphLayer>() {
        let Some(graph) = model.graph() else { return Ok(()) };
        let functional = model.architecture().class_name() == "Functional";
        for i in graph.keras_order(functional)? {
            if let Some(entry) = graph.layers().get(i) {
                units(entry, frozen, out)?;
            }
        }
        return Ok(());
    }
    if ["TimeDistributed", "Bidirectional"].contains(&entry.class_name()) {
        let children = entry.layer().children();
        let inner = children.into_iter().flat_map(|child| match child {
            layer::Child::One(_, entry) => vec![entry],
            layer::Child::Many(_, entries) => entries,
        });
        return inner.into_iter().try_for_each(|entry| units(entry, frozen, out));
    }
    let mut unit = Unit { entry, trainable: Vec::new(), rest: Vec::new() };
    entry.walk("", &mut |_, inner, _| {
        for weight in inner.weights() {
            match weight.is_state || frozen {
                true => unit.rest.push(weight.clone()),
                false => unit.trainable.push(weight.clone()),
            }
        }
    });
    // Of a frozen layer, what was declared trainable comes first all the same.
    unit.rest.sort_by_key(|weight| weight.is_state);
    if unit.len() > 0 {
        out.push(unit);
    }
    Ok(())
}

/// The weights of one layer of the model, of which the file holds `stored`.
fn assign(entry: &LayerEntry, stored: &[(String, Array)], source: Source) -> Result<Vec<Assigned>> {
    let mut found = Vec::new();
    units(entry, false, &mut found)?;
    let mut assigned = Vec::new();
    for (unit, arrays) in divide(&found, stored)? {
        let values = arrays.iter().map(|(_, array)| array.to_tensor(&Device::Cpu));
        let values = layouts::converted(unit.entry, values.collect::<Result<_>>()?, source)?;
        let weights: Vec<&Arc<Weight>> = unit.weights().collect();
        if weights.len() != values.len() {
            return Err(Error::data(format!(
                "`{}` has {} weights, the file {}",
                unit.entry.name(),
                weights.len(),
                values.len()
            )));
        }
        for (index, (weight, value)) in weights.into_iter().zip(values).enumerate() {
            let name = arrays.get(index).map(|(name, _)| name.as_str()).unwrap_or_default();
            check(weight, &value, name)?;
            assigned.push((weight.clone(), value));
        }
    }
    Ok(assigned)
}

fn check(weight: &Weight, value: &Tensor, name: &str) -> Result<()> {
    if value.dims() != weight.var.dims() {
        return Err(Error::data(format!(
            "`{}` has shape {:?}, `{name}` in the file {:?}",
            weight.name,
            weight.var.dims(),
            value.dims()
        )));
    }
    let (ours, theirs) = (kind(&weight.name), kind(name));
    if ours.is_some() && theirs.is_some() && ours != theirs {
        return Err(Error::data(format!(
            "`{}` would become `{name}` of the file: the weights are in another order",
            weight.name
        )));
    }
    Ok(())
}

/// The names of weights that no two weights of one shape and layer exchange by mistake.
const KINDS: [&str; 14] = [
    "kernel",
    "bias",
    "gamma",
    "beta",
    "moving_mean",
    "moving_variance",
    "embeddings",
    "alpha",
    "recurrent_kernel",
    "depthwise_kernel",
    "pointwise_kernel",
    "mean",
    "variance",
    "count",
];

/// What a weight is, of "batch_normalization_3/moving_mean:0" or "kernel_1:0".
fn kind(name: &str) -> Option<&'static str> {
    let leaf = name.rsplit('/').next().unwrap_or_default();
    let leaf = leaf.split(':').next().unwrap_or_default();
    let kind = KINDS.into_iter().find(|kind| {
        let rest = leaf.strip_prefix(kind);
        rest.is_some_and(|rest| {
            rest.is_empty()
                || rest.strip_prefix('_').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        })
    });
    // Keras 3 calls it a kernel.
    kind.map(|kind| if kind == "depthwise_kernel" { "kernel" } else { kind })
}

/// The arrays of each unit, with their names.
type Divided<'u, 'a> = Vec<(&'u Unit<'a>, Vec<(String, Array)>)>;

/// The weights of each unit: by the layers that their names name, or else by Keras's order.
fn divide<'u, 'a>(units: &'u [Unit<'a>], stored: &[(String, Array)]) -> Result<Divided<'u, 'a>> {
    if let [unit] = units {
        return Ok(vec![(unit, stored.to_vec())]);
    }
    if let Some(divided) = divide_by_name(units, stored) {
        return Ok(divided);
    }
    let count: usize = units.iter().map(Unit::len).sum();
    // Weights of Keras 1 are in more pieces; the halves of a Bidirectional are alike.
    if let ([first, second], 0, true) = (units, stored.len() % 2, count != stored.len())
        && first.entry.class_name() == second.entry.class_name()
    {
        let (forward, backward) = stored.split_at(stored.len() / 2);
        return Ok(vec![(first, forward.to_vec()), (second, backward.to_vec())]);
    }
    if count != stored.len() {
        return Err(Error::data(format!("it has {count} weights, the file {}", stored.len())));
    }
    let trainable: usize = units.iter().map(|unit| unit.trainable.len()).sum();
    let (trainable, rest) = stored.split_at(trainable);
    let (mut trainable, mut rest) = (trainable.iter(), rest.iter());
    let take =
        |from: &mut std::slice::Iter<(String, Array)>, n| from.by_ref().take(n).cloned().collect();
    let divided = units.iter().map(|unit| {
        let mut own: Vec<(String, Array)> = take(&mut trainable, unit.trainable.len());
        own.extend::<Vec<_>>(take(&mut rest, unit.rest.len()));
        (unit, own)
    });
    Ok(divided.collect())
}

/// By the names of layers inside a model; `None` if they do not say clearly which is whose.
fn divide_by_name<'u, 'a>(
    units: &'u [Unit<'a>],
    stored: &[(String, Array)],
) -> Option<Divided<'u, 'a>> {
    let places: HashMap<&str, usize> =
        units.iter().enumerate().map(|(i, unit)| (unit.entry.name(), i)).collect();
    if places.len() != units.len() {
        return None;
    }
    let mut divided: Vec<_> = units.iter().map(|unit| (unit, Vec::new())).collect();
    for (name, array) in stored {
        let (layers, _) = name.rsplit_once('/')?;
        let unit = layers.rsplit('/').find_map(|part| places.get(part))?;
        divided.get_mut(*unit)?.1.push((name.clone(), array.clone()));
    }
    divided.iter().all(|(unit, own)| own.len() == unit.len()).then_some(divided)
}
