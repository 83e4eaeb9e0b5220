//! Functional models as Keras's JSON: layers with names, and calls of layers on each other's outputs.

use crate::architecture::{read_layer, write_layer};
use crate::graph::{EdgeId, Graph};
use crate::graph_layer::GraphLayer;
use crate::shared::{Shared, SharedIds};
use sconce_core::policy::keras_name;
use sconce_core::registry::object;
use sconce_core::{Arg, Args, Error, Json, Result};
use sconce_layers::{InputLayer, LayerEntry};
use serde_json::{Map, json};
use std::collections::HashMap;

/// Where Keras's JSON says a tensor comes from: (layer name, use of the layer, index of the output).
type History = (String, usize, usize);

/// A use of a layer that is not in the graph yet.
struct Pending {
    layer: usize,
    use_index: usize,
    args: Args<History>,
}

/// Reads the `config` of a functional model.
pub(crate) fn read(map: &Map<String, Json>, shared: &Shared) -> Result<Graph> {
    let list = map.get("layers").and_then(Json::as_array);
    let list = list.ok_or_else(|| Error::config("layers", "a model needs its list of layers"))?;
    let mut entries: Vec<LayerEntry> = Vec::new();
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut pending: Vec<Pending> = Vec::new();
    for (index, json) in list.iter().enumerate() {
        let at = format!("layers[{index}]");
        let (entry, uses) = read_entry(json, shared).map_err(|e| e.under(&at))?;
        let name = entry
            .given_name()
            .map(str::to_string)
            .ok_or_else(|| Error::config(&at, "a layer of a functional model needs a name"))?;
        if names.insert(name.clone(), index).is_some() {
            return Err(Error::config(&at, format!("two layers are called `{name}`")));
        }
        let is_input = entry.downcast::<InputLayer>().is_some();
        let uses = if is_input { vec![Args::new()] } else { uses };
        pending.extend(uses.into_iter().enumerate().map(|(use_index, args)| Pending {
            layer: index,
            use_index,
            args,
        }));
        entries.push(entry);
    }
    let mut graph = Graph::reserving(&entries);
    entries.iter().try_for_each(|entry| graph.add(entry).map(drop))?;
    let mut made: HashMap<(usize, usize), Vec<EdgeId>> = HashMap::new();
    // Each round places every call whose inputs are placed; no progress means a cycle.
    while !pending.is_empty() {
        let before = pending.len();
        let mut waiting = Vec::new();
        for call in pending {
            let ready = |(name, number, _): &&History| {
                names.get(name).is_some_and(|layer| made.contains_key(&(*layer, *number)))
            };
            // A layer's uses are placed in their order.
            let earlier =
                call.use_index == 0 || made.contains_key(&(call.layer, call.use_index - 1));
            if !earlier || !call.args.flat().iter().all(ready) {
                waiting.push(call);
                continue;
            }
            let edges = if entries[call.layer].downcast::<InputLayer>().is_some() {
                vec![graph.input(call.layer)?]
            } else {
                let args = call.args.try_map(|history| edge(&names, &made, history))?;
                graph.apply(call.layer, args)?
            };
            made.insert((call.layer, call.use_index), edges);
        }
        if waiting.len() == before {
            let call = waiting.swap_remove(0);
            let from: Vec<&str> =
                call.args.flat().iter().map(|(name, _, _)| name.as_str()).collect();
            return Err(Error::config(
                format!("layers[{}].inbound_nodes", call.layer),
                format!(
                    "layer `{}` reads {}, which is not there or depends on it",
                    entries[call.layer].name(),
                    from.join(", ")
                ),
            ));
        }
        pending = waiting;
    }
    let resolve = |key: &str| -> Result<(Vec<EdgeId>, Option<Vec<String>>)> {
        let (stated, keys) = ends(map.get(key)).map_err(|e| e.under(key))?;
        let mut out = Vec::new();
        for (name, number, output) in stated {
            let layer = names.get(&name).copied().ok_or_else(|| {
                let known: Vec<&str> = entries.iter().map(LayerEntry::name).collect();
                Error::config(key, sconce_core::registry::unknown("layer", &name, known))
            })?;
            let number = number.saturating_sub(first_use(&entries[layer]));
            let history = (name, number, output);
            out.push(edge(&names, &made, &history).map_err(|e| e.under(key))?);
        }
        Ok((out, keys))
    };
    let (inputs, input_keys) = resolve("input_layers")?;
    let (outputs, output_keys) = resolve("output_layers")?;
    if outputs.is_empty() {
        return Err(Error::config("output_layers", "a model needs at least one output"));
    }
    for (index, entry) in entries.iter().enumerate() {
        let is_stated = inputs.iter().any(|edge| graph.producer(*edge).0.layer == index);
        if is_stated != entry.downcast::<InputLayer>().is_some() {
            let problem = if is_stated { "is no InputLayer" } else { "is missing" };
            let message = format!("`{}` {problem}", entry.name());
            return Err(Error::config("input_layers", message));
        }
    }
    graph.set_inputs(&inputs, input_keys)?;
    graph.set_outputs(&outputs, output_keys);
    Ok(graph)
}

/// Among a model's outputs, and only there, Keras counts the uses of a functional model from 1.
fn first_use(entry: &LayerEntry) -> usize {
    usize::from(entry.downcast::<GraphLayer>().is_some() && entry.class_name() == "Functional")
}

fn edge(
    names: &HashMap<String, usize>,
    made: &HashMap<(usize, usize), Vec<EdgeId>>,
    (name, number, output): &History,
) -> Result<EdgeId> {
    let edges = names.get(name).and_then(|layer| made.get(&(*layer, *number)));
    edges.and_then(|edges| edges.get(*output)).copied().ok_or_else(|| {
        Error::config(
            "",
            format!("the model refers to output {output} of use {number} of `{name}`, which is not there"),
        )
    })
}

/// Keras's JSON of layers, inputs and outputs.
pub(crate) fn write(graph: &Graph, shared: &SharedIds) -> Result<Map<String, Json>> {
    let history = |edge: &EdgeId| {
        let (node, output) = graph.producer(*edge);
        (graph.layers()[node.layer].name(), node.use_index, output)
    };
    let mut layers = Vec::new();
    for (index, entry) in graph.layers().iter().enumerate() {
        let mut layer = write_layer(entry, graph, index, shared)?;
        let uses = graph
            .nodes()
            .iter()
            .filter(|node| node.layer == index && entry.downcast::<InputLayer>().is_none());
        let tensor = |edge: &EdgeId| {
            let spec = graph.spec(*edge);
            json!({ "class_name": "__keras_tensor__", "config": {
                "shape": spec.dims, "dtype": keras_name(spec.dtype), "keras_history": history(edge),
            }})
        };
        let nodes: Vec<Json> = uses
            .map(|node| {
                let args: Vec<Json> =
                    node.args.positional.iter().map(|arg| write_arg(arg, &tensor)).collect();
                let kwargs: Map<String, Json> = node
                    .args
                    .named
                    .iter()
                    .map(|(name, arg)| (name.clone(), write_arg(arg, &tensor)))
                    .collect();
                json!({ "args": args, "kwargs": kwargs })
            })
            .collect();
        layer["name"] = json!(entry.name());
        layer["inbound_nodes"] = json!(nodes);
        layers.push(layer);
    }
    let end = |edge: &EdgeId, counts_from: bool| {
        let (name, number, output) = history(edge);
        let (node, _) = graph.producer(*edge);
        let first = if counts_from { first_use(&graph.layers()[node.layer]) } else { 0 };
        json!([name, number + first, output])
    };
    let flat = |edges: &[EdgeId], keys: Option<&[String]>, is_output: bool| match (keys, edges) {
        (Some(keys), all) => {
            let dict = keys.iter().cloned().zip(all.iter().map(|e| end(e, is_output)));
            Json::Object(dict.collect())
        }
        (None, [one]) => end(one, is_output),
        (None, many) => many.iter().map(|e| end(e, is_output)).collect(),
    };
    let mut map = Map::new();
    map.insert("layers".into(), json!(layers));
    map.insert("input_layers".into(), flat(graph.inputs(), graph.input_keys(), false));
    map.insert("output_layers".into(), flat(graph.outputs(), graph.output_keys(), true));
    Ok(map)
}

fn write_arg<T>(arg: &Arg<T>, tensor: &impl Fn(&T) -> Json) -> Json {
    match arg {
        Arg::One(one) => tensor(one),
        Arg::List(list) => list.iter().map(|arg| write_arg(arg, tensor)).collect(),
        Arg::Dict(dict) => {
            dict.iter().map(|(key, arg)| (key.clone(), write_arg(arg, tensor))).collect()
        }
        Arg::Json(value) => value.clone(),
    }
}

/// Layers whose call Keras declares with `training=False`. It writes that down at calls that say nothing, and
/// in `fit` trains them all the same.
const NOT_TRAINING_BY_DEFAULT: [&str; 18] = [
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Dropout",
    "GRU",
    "GaussianDropout",
    "GaussianNoise",
    "LSTM",
    "RNN",
    "SimpleRNN",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "StackedRNNCells",
];

/// A layer of a functional model, and what it is called with at each use.
fn read_entry(json: &Json, shared: &Shared) -> Result<(LayerEntry, Vec<Args<History>>)> {
    let mut map = object(json.clone(), "a layer")?;
    let nodes = map.shift_remove("inbound_nodes");
    let outer = map.shift_remove("name");
    let mut value = Json::Object(map);
    if let (Some(Json::String(name)), Some(config)) =
        (outer, value.get_mut("config").and_then(Json::as_object_mut))
    {
        config.entry("name").or_insert(json!(name));
    }
    let entry = read_layer(&value, shared)?;
    let mut uses = Vec::new();
    for (index, node) in nodes.iter().flat_map(|n| n.as_array()).flatten().enumerate() {
        let at = format!("inbound_nodes[{index}]");
        let mut args = read_args(node).map_err(|e| e.under(&at))?;
        if NOT_TRAINING_BY_DEFAULT.contains(&entry.class_name()) {
            let said = |(name, arg): &(String, Arg<History>)| {
                name == "training" && matches!(arg, Arg::Json(Json::Bool(false)))
            };
            args.named.retain(|argument| !said(argument));
        }
        if args.flat().is_empty() {
            return Err(Error::config(at, "a call of a layer needs at least one tensor"));
        }
        uses.push(args);
    }
    Ok((entry, uses))
}

fn read_args(node: &Json) -> Result<Args<History>> {
    let mut args = Args::new();
    match node.get("args") {
        Some(Json::Array(list)) => {
            for (index, arg) in list.iter().enumerate() {
                let arg = read_arg(arg).map_err(|e| e.under(&format!("args[{index}]")))?;
                args.positional.push(arg);
            }
        }
        None | Some(Json::Null) => {}
        Some(other) => {
            return Err(Error::config("args", format!("must be a list, found {other}")));
        }
    }
    match node.get("kwargs") {
        Some(Json::Object(map)) => {
            for (name, arg) in map {
                let arg = read_arg(arg).map_err(|e| e.under(&format!("kwargs.{name}")))?;
                args.named.push((name.clone(), arg));
            }
        }
        None | Some(Json::Null) => {}
        Some(other) => {
            return Err(Error::config("kwargs", format!("must be an object, found {other}")));
        }
    }
    Ok(args)
}

/// A tensor, a list or dict that holds tensors, or a plain value.
fn read_arg(value: &Json) -> Result<Arg<History>> {
    match value {
        Json::Object(map) if map.get("class_name") == Some(&json!("__keras_tensor__")) => {
            let history = value.pointer("/config/keras_history");
            match references(history)?.as_slice() {
                [one] => Ok(Arg::One(one.clone())),
                _ => Err(Error::config("config.keras_history", "must name one tensor")),
            }
        }
        Json::Array(list) if holds_tensors(value) => {
            let item = |(index, item)| read_arg(item).map_err(|e| e.under(&format!("[{index}]")));
            Ok(Arg::List(list.iter().enumerate().map(item).collect::<Result<_>>()?))
        }
        Json::Object(map) if holds_tensors(value) => Ok(Arg::Dict(
            map.iter()
                .map(|(key, item)| Ok((key.clone(), read_arg(item).map_err(|e| e.under(key))?)))
                .collect::<Result<_>>()?,
        )),
        plain => Ok(Arg::Json(plain.clone())),
    }
}

fn holds_tensors(value: &Json) -> bool {
    match value {
        Json::Array(list) => list.iter().any(holds_tensors),
        Json::Object(map) => {
            map.get("class_name") == Some(&json!("__keras_tensor__"))
                || map.values().any(holds_tensors)
        }
        _ => false,
    }
}

/// Inputs or outputs of a model: as [`references`], or a dict of single ones, which Keras orders by key.
fn ends(value: Option<&Json>) -> Result<(Vec<History>, Option<Vec<String>>)> {
    let Some(Json::Object(map)) = value else { return Ok((references(value)?, None)) };
    let mut entries: Vec<(&String, &Json)> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    let mut out = Vec::new();
    for (key, entry) in &entries {
        match references(Some(entry)).map_err(|e| e.under(key))?.as_slice() {
            [one] => out.push(one.clone()),
            _ => return Err(Error::config(key.as_str(), "expected one [layer name, use, output]")),
        }
    }
    Ok((out, Some(entries.into_iter().map(|(key, _)| key.clone()).collect())))
}

/// `["dense", 0, 0]`, or a list of such.
fn references(value: Option<&Json>) -> Result<Vec<History>> {
    let wrong = |value: &Json| {
        Error::config(
            "",
            format!("expected [layer name, use, output] or a list of such, got {value}"),
        )
    };
    match value {
        None => Err(Error::config("", "is missing")),
        Some(Json::Array(items)) => match items.as_slice() {
            [Json::String(name), Json::Number(number), Json::Number(output)] => {
                let index = |n: &serde_json::Number| n.as_u64().map(|n| n as usize);
                match (index(number), index(output)) {
                    (Some(number), Some(output)) => Ok(vec![(name.clone(), number, output)]),
                    _ => Err(wrong(&json!(items))),
                }
            }
            items if items.iter().all(Json::is_array) => {
                let lists: Result<Vec<Vec<History>>> = items
                    .iter()
                    .map(|item| match item.get(0) {
                        // One level of nesting only, so that hostile files cannot exhaust the stack.
                        Some(Json::String(_)) => references(Some(item)),
                        _ => Err(wrong(item)),
                    })
                    .collect();
                Ok(lists?.into_iter().flatten().collect())
            }
            _ => Err(wrong(&json!(items))),
        },
        Some(other) => Err(wrong(other)),
    }
}
