//! Networks as Keras archives: which variable of the model is which array of the file.

use crate::keras_json::Class;
use crate::paths::{Child, Saved, Variable, place};
use crate::{Array, KerasArchive, NamedTensors};
use sconce_core::{Device, Error, FirstValues, Json, Result, Tensor, Weight};
use sconce_layers::{self as layers, LayerEntry};
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
    let variable = |weight: &Arc<Weight>| {
        let key = paths.get(&Arc::as_ptr(weight)).map_or_else(String::new, |path| path.to_string());
        Variable { key, trainable: !weight.is_state }
    };
    let mut children = match entry.downcast::<GraphLayer>().and_then(|m| Some((m, m.graph()?))) {
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
            entry.layer().children().into_iter().map(child).collect::<Result<Vec<_>>>()?
        }
    };
    let mut own: Vec<&Arc<Weight>> = entry.weights().iter().collect();
    for (prefix, attribute) in entry.layer().weight_groups() {
        let is_inside = |weight: &&Arc<Weight>| {
            weight.name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
        };
        let (inside, rest): (Vec<_>, Vec<_>) = own.into_iter().partition(is_inside);
        own = rest;
        if let Some(first) = inside.first() {
            let group = Saved {
                // The address of a weight is that of no layer.
                id: Arc::as_ptr(first) as usize,
                name: prefix.to_string(),
                variables: inside.into_iter().map(variable).collect(),
                ..Saved::default()
            };
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

/// The weights of a network and the optimizer's variables, if there are any, as Keras's files hold
/// them.
pub fn to_weights(
    network: &Network,
    optimizer: Option<&OptimizerVariables>,
) -> Result<NamedTensors> {
    let placement = place(&tree(network, optimizer)?);
    let mut values: HashMap<String, Tensor> = HashMap::new();
    for parameter in network.store().parameters() {
        values.insert(parameter.path.clone(), parameter.var.as_tensor().detach());
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

/// The network of an archive, on a device. `Ok(None)` for a model that Keras saved before it was
/// built: it has an architecture, but no weights.
///
/// # Errors
/// Everything in the file that is not supported, in one message; a weight that is missing or has
/// another shape, with its layer and its place in the file.
pub fn from_archive(
    archive: &KerasArchive,
    file: &Path,
    device: &Device,
) -> Result<(Architecture, Option<Network>)> {
    let in_file = |error: Error| Error::file(file, error.to_string());
    crate::keras_json::scan(&archive.config, "", &is_supported).map_err(in_file)?;
    let architecture = Architecture::from_json(&archive.config).map_err(in_file)?;
    if !architecture.states_its_input() {
        return Ok((architecture, None));
    }
    // Every weight comes from the file, so none is drawn.
    let network =
        Network::build(&architecture, None, device, FirstValues::Zeros).map_err(in_file)?;
    load_weights(&network, &archive.weights).map_err(in_file)?;
    Ok((architecture, Some(network)))
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
    found.iter().try_for_each(|(parameter, value)| parameter.set(value))
}

/// The optimizer's variables in an archive; none if it was saved without.
pub fn optimizer_variables(archive: &KerasArchive) -> Result<Vec<Tensor>> {
    let arrays = archive.weights.numbered("optimizer/vars");
    arrays.into_iter().map(|array| array.to_tensor(&Device::Cpu)).collect()
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
