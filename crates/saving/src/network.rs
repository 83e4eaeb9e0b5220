//! Networks as Keras archives: which variable of the model is which array of the file.

use crate::keras_json::Class;
use crate::legacy_weights::{self, WeightOptions};
use crate::paths::{Child, Saved, Variable, place};
use crate::{Array, KerasArchive, ModelFile, NamedTensors, StoredWeights, hard_sigmoid};
use sconce_core::{Device, Error, FirstValues, Json, Result, Tensor, Weight};
use sconce_layers::{self as layers, Filed, LayerEntry};
use sconce_model::legacy::{self, Translation};
use sconce_model::{Architecture, Graph, GraphLayer, Network, architecture};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// The variables of an optimizer, as a file holds them.
pub struct OptimizerVariables {
    /// "Adam".
    pub class_name: String,
    /// "adam".
    pub name: String,
    /// Iterations, learning rate, then the rest in Keras's order.
    pub variables: Vec<Tensor>,
}

/// The key of optimizer variable `i` in the walk.
fn optimizer_key(i: usize) -> String {
    format!("optimizer variable {i}")
}

/// The network as Keras walks it. Variables are keyed by their path in the store.
fn tree(network: &Network, optimizer: Option<&OptimizerVariables>) -> Result<Saved> {
    let paths: Paths<'_> = network
        .store()
        .parameters()
        .iter()
        .map(|p| (Arc::as_ptr(&p.weight), p.path.as_str()))
        .collect();
    let architecture = network.architecture();
    let layers = saved_layers(network.graph(), architecture, &paths)?;
    let mut children = vec![("layers".to_string(), Child::Many(layers))];
    if let Some(optimizer) = optimizer {
        let variables = (0..optimizer.variables.len())
            .map(|i| Variable { key: optimizer_key(i), trainable: true })
            .collect();
        children.push((
            "optimizer".to_string(),
            Child::One(Saved {
                id: OPTIMIZER,
                class_name: optimizer.class_name.clone(),
                name: optimizer.name.clone(),
                variables,
                children: Vec::new(),
            }),
        ));
    }
    Ok(Saved {
        id: MODEL,
        class_name: architecture.class_name().to_string(),
        name: architecture.name().to_string(),
        variables: Vec::new(),
        children,
    })
}

/// Where each weight is in the store.
type Paths<'a> = HashMap<*const Weight, &'a str>;

/// Numbers that no layer has: theirs are addresses.
const MODEL: usize = 0;
const OPTIMIZER: usize = 1;

/// The layers of a graph in the order Keras lists them.
fn saved_layers(
    graph: &Graph,
    architecture: &Architecture,
    paths: &Paths<'_>,
) -> Result<Vec<Saved>> {
    let order = graph.keras_order(architecture.class_name() == "Functional")?;
    order.into_iter().filter_map(|i| graph.layers().get(i)).map(|e| saved(e, paths)).collect()
}

/// A layer and the layers inside it.
fn saved(entry: &LayerEntry, paths: &Paths<'_>) -> Result<Saved> {
    let filed: HashMap<*const Weight, Filed> =
        entry.weights().iter().map(Arc::as_ptr).zip(entry.filed()?).collect();
    let variable = |weight: &Arc<Weight>| {
        let address = Arc::as_ptr(weight);
        let key = paths.get(&address).map_or_else(String::new, |path| path.to_string());
        // A weight that LoRA freezes stands where it stood before.
        let is_merged = matches!(filed.get(&address), Some(Filed::Merged(_)));
        Variable { key, trainable: is_merged || !weight.is_state }
    };
    let mut children: Vec<(String, Child)> =
        match entry.downcast::<GraphLayer>().and_then(|m| Some((m, m.graph()?))) {
            Some((model, graph)) => {
                let layers = saved_layers(graph, model.architecture(), paths)?;
                vec![("layers".to_string(), Child::Many(layers))]
            }
            None => {
                let child = |child: layers::Child<'_>| {
                    Ok(match child {
                        layers::Child::One(attribute, entry) => {
                            (attribute.to_string(), Child::One(saved(entry, paths)?))
                        }
                        layers::Child::Many(attribute, entries) => {
                            let list = entries.into_iter().map(|e| saved(e, paths));
                            (attribute.to_string(), Child::Many(list.collect::<Result<_>>()?))
                        }
                    })
                };
                entry.layer().children().into_iter().map(child).collect::<Result<_>>()?
            }
        };
    let group = |weights: Vec<&Arc<Weight>>, class_name: &str, name: String| Saved {
        // The address of a weight is that of no layer.
        id: weights.first().map_or(0, |weight| Arc::as_ptr(weight).cast::<()>() as usize),
        class_name: class_name.to_string(),
        name,
        variables: weights.into_iter().map(variable).collect(),
        children: Vec::new(),
    };
    let is_left =
        |weight: &Arc<Weight>| matches!(filed.get(&Arc::as_ptr(weight)), Some(Filed::Left));
    let borrowed = entry.borrowed_weight().map(|(_, weight)| weight);
    let own = entry.weights().iter().filter(|weight| !is_left(weight));
    let mut own: Vec<&Arc<Weight>> = borrowed.into_iter().chain(own).collect();
    if let Some((attribute, class_name)) = entry.layer().weights_within() {
        let inside = std::mem::take(&mut own);
        let group = group(inside, class_name, sconce_core::names::snake_case(class_name));
        children.push((attribute.to_string(), Child::One(group)));
    }
    for (prefix, attribute) in entry.layer().weight_groups() {
        let is_inside = |weight: &&Arc<Weight>| {
            weight.name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
        };
        let (inside, rest): (Vec<_>, Vec<_>) = own.into_iter().partition(is_inside);
        own = rest;
        if !inside.is_empty() {
            let group = group(inside, "", prefix.to_string());
            children.push((attribute.to_string(), Child::One(group)));
        }
    }
    Ok(Saved {
        id: entry.id(),
        class_name: entry.class_name().to_string(),
        name: entry.name().to_string(),
        variables: own.into_iter().map(variable).collect(),
        children,
    })
}

/// The weights that files hold otherwise than the network does, because of LoRA.
fn merged(network: &Network) -> Result<HashMap<*const Weight, Filed>> {
    let mut found = HashMap::new();
    let mut failed = None;
    for layer in network.graph().layers() {
        layer.walk("", &mut |_, entry, _| match entry.filed() {
            Ok(filed) => {
                let others = entry.weights().iter().map(Arc::as_ptr).zip(filed);
                found.extend(others.filter(|(_, filed)| !matches!(filed, Filed::Same)));
            }
            Err(error) => failed = Some(error),
        });
    }
    failed.map_or(Ok(found), Err)
}

/// The weights of a network and the optimizer's variables, if there are any, as Keras's files hold
/// them.
pub fn to_weights(
    network: &Network,
    optimizer: Option<&OptimizerVariables>,
) -> Result<NamedTensors> {
    let placement = place(&tree(network, optimizer)?);
    let mut values: HashMap<String, Tensor> = HashMap::new();
    let merged = merged(network)?;
    for parameter in network.store().parameters() {
        let value = match merged.get(&Arc::as_ptr(&parameter.weight)) {
            Some(Filed::Merged(value)) => value.clone(),
            _ => parameter.var.as_tensor().detach(),
        };
        values.insert(parameter.path.clone(), value);
    }
    for (i, variable) in optimizer.iter().flat_map(|o| o.variables.iter().enumerate()) {
        values.insert(optimizer_key(i), variable.clone());
    }
    let mut weights = NamedTensors::new();
    for (path, name) in &placement.groups {
        weights.insert_group(path, Some(name))?;
    }
    for (path, key) in &placement.variables {
        let value = values.get(key).ok_or_else(|| {
            Error::data(format!("the variable `{key}` has a place in the file but no value"))
        })?;
        weights.insert(path, Array::from_tensor(value)?)?;
    }
    Ok(weights)
}

/// The archive of a network, with Keras's compile configuration and the optimizer's variables if
/// there are any.
pub fn to_archive(
    network: &Network,
    compile_config: Option<Json>,
    optimizer: Option<&OptimizerVariables>,
) -> Result<KerasArchive> {
    let weights = to_weights(network, optimizer)?;
    let mut config = network.to_json()?;
    if let (Some(compile), Some(config)) = (compile_config, config.as_object_mut()) {
        config.insert("compile_config".to_string(), compile);
    }
    Ok(KerasArchive::new(config, weights))
}

/// A model from a file.
pub struct Loaded {
    /// How it is stated.
    pub architecture: Architecture,
    /// It with its weights; `None` for a model that Keras saved before it was built.
    pub network: Option<Network>,
    /// What of an older Keras was read as something else.
    pub changes: Vec<String>,
    /// Whether weights were changed so that layers of today compute the same as those of then. What an
    /// optimizer kept for them does not fit them then.
    pub rescaled: bool,
}

/// The model of a file, on a device.
///
/// # Errors
/// Everything in the file, and in its compile state `compile`, that is not supported, in one message; a weight that is missing or has
/// another shape, with its layer and its place in the file.
pub fn from_file(
    stored: &ModelFile,
    compile: Option<&Json>,
    file: &Path,
    device: &Device,
) -> Result<Loaded> {
    build(stored, compile, device).map_err(|error| Error::file(file, error.to_string()))
}

fn build(stored: &ModelFile, compile: Option<&Json>, device: &Device) -> Result<Loaded> {
    let version = match (stored.keras_version(), stored.keras_major()) {
        (None, 1) => Some("1"),
        (version, _) => version,
    };
    let Translation { model, mut changes } = legacy::translated(&stored.config, version)?;
    scan(&model, compile)?;
    let architecture = Architecture::from_json(&model)?;
    if !architecture.states_its_input() {
        return Ok(Loaded { architecture, network: None, changes, rescaled: false });
    }
    // Every weight comes from the file, so none is drawn.
    let network = Network::build(&architecture, None, device, FirstValues::Zeros)?;
    load_stored(&network, &stored.weights, WeightOptions::default())?;
    let rescaled = match stored.keras_major() {
        3.. => Vec::new(),
        _ => hard_sigmoid::rescale(&network)?,
    };
    let is_rescaled = !rescaled.is_empty();
    changes.extend(rescaled);
    Ok(Loaded { architecture, network: Some(network), changes, rescaled: is_rescaled })
}

/// Lists what is not supported of a model and of its compile state, in one error.
fn scan(model: &Json, compile: Option<&Json>) -> Result<()> {
    let mut whole = model.clone();
    if let (Some(compile), Some(map)) = (compile, whole.as_object_mut()) {
        map.insert("compile_config".into(), compile.clone());
    }
    crate::keras_json::scan(&whole, "", &is_supported)
}

/// Sets the weights of a network from those of a file, whichever Keras wrote it. Returns what was skipped.
///
/// # Errors
/// As [`load_weights`] and [`legacy_weights::load`].
pub fn load_stored(
    network: &Network,
    weights: &StoredWeights,
    options: WeightOptions,
) -> Result<Vec<String>> {
    match weights {
        StoredWeights::ByLayer(weights) => legacy_weights::load(network, weights, options),
        StoredWeights::ByPath(weights) => {
            if options.by_name || options.skip_mismatch {
                return Err(Error::data(
                    "weights by the paths of objects are loaded all or not at all; `by_name` and \
                     `skip_mismatch` are for the older HDF5 format",
                ));
            }
            load_weights(network, weights).map(|()| Vec::new())
        }
    }
}

/// Whether a class of a model can be built here.
pub fn is_supported(class: Class<'_>) -> bool {
    match class {
        Class::Layer(name) => architecture::is_supported(name),
        Class::Operation(name) => architecture::is_supported_operation(name),
    }
}

/// Sets every weight of the network from a file's arrays; nothing changes if one is missing, left over
/// or of another shape.
pub fn load_weights(network: &Network, weights: &NamedTensors) -> Result<()> {
    let placement = place(&tree(network, None)?);
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    for (path, key) in &placement.variables {
        let parameter = network.store().get(key)?;
        match weights.get(path) {
            Some(array) if array.shape() == parameter.var.dims() => {
                found.push((parameter, array.to_tensor(&Device::Cpu)?));
            }
            Some(array) => wrong.push(format!(
                "`{key}` has shape {:?}, the file's `{path}` has {:?}",
                parameter.var.dims(),
                array.shape()
            )),
            None => wrong.push(format!("`{key}` should be at `{path}`, which is not in the file")),
        }
    }
    let placed: HashSet<&str> = placement.variables.iter().map(|(path, _)| path.as_str()).collect();
    let extra = weights.iter().map(|(path, _)| path).filter(|path| {
        // The seed of Keras's dropout is state of its own there, and none here.
        path.starts_with("layers/") && !path.contains("seed_generator/") && !placed.contains(path)
    });
    wrong.extend(extra.map(|path| format!("the file's `{path}` belongs to no layer of the model")));
    if !wrong.is_empty() {
        return Err(Error::data(format!("the weights do not fit the model: {}", wrong.join("; "))));
    }
    found.iter().try_for_each(|(parameter, value)| parameter.set(value))?;
    // The change of LoRA is in the weight that was read.
    let merged = merged(network)?;
    for parameter in network.store().parameters() {
        if let Some(Filed::Left) = merged.get(&Arc::as_ptr(&parameter.weight)) {
            parameter.set(&parameter.var.as_tensor().zeros_like()?)?;
        }
    }
    Ok(())
}

/// The weights of a network by path, for safetensors.
pub fn to_named(network: &Network) -> Result<NamedTensors> {
    let mut named = NamedTensors::new();
    for parameter in network.store().parameters() {
        named.insert(&parameter.path, Array::from_tensor(&parameter.var.as_tensor().detach())?)?;
    }
    Ok(named)
}

/// Sets the weights of a network from arrays by path; all must be there, and nothing else.
pub fn from_named(network: &Network, named: &NamedTensors) -> Result<()> {
    let parameters = network.store().parameters();
    let known: Vec<&str> = parameters.iter().map(|p| p.path.as_str()).collect();
    let extra: Vec<&str> =
        named.iter().map(|(path, _)| path).filter(|p| !known.contains(p)).collect();
    if !extra.is_empty() {
        return Err(Error::data(format!(
            "the file has weights that the model has not: {}; the model's are {}",
            extra.join(", "),
            known.join(", ")
        )));
    }
    let mut values = Vec::new();
    for path in &known {
        let array = named.get(path).ok_or_else(|| {
            Error::data(format!("the weight `{path}` of the model is not in the file"))
        })?;
        values.push(array.to_tensor(&Device::Cpu)?);
    }
    network.set_weights(&values)
}
