//! Functional models: layers with names, and calls of layers on each other's outputs, in Keras's JSON.

use crate::graph::{EdgeId, Graph};
use sconce_core::registry::object;
use sconce_core::{Dims, Error, Json, Result};
use sconce_layers::layer::{from_json, to_json};
use sconce_layers::{InputLayer, Layer};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// The layer of a call, and the calls it reads.
pub type LayerCall = (usize, Vec<usize>);

/// One output of one call: (call, index among its outputs).
type Reference = (usize, usize);

/// A layer used on outputs of earlier calls.
#[derive(Clone)]
struct Call {
    layer: usize,
    inputs: Vec<Reference>,
}

/// Layers and calls, in an order in which they can run.
#[derive(Clone, Default)]
pub struct Functional {
    layers: Vec<Arc<dyn Layer>>,
    calls: Vec<Call>,
    inputs: Vec<Reference>,
    outputs: Vec<Reference>,
    /// The keys of inputs and outputs that were stated as a dict.
    input_keys: Option<Vec<String>>,
    output_keys: Option<Vec<String>>,
}

/// For each use of a layer, where its inputs come from.
type Uses = Vec<Vec<History>>;

/// Where Keras's JSON says a tensor comes from: (layer name, use of the layer, index of the output).
type History = (String, usize, usize);

impl Functional {
    /// The shape of the input, if there is exactly one.
    pub(crate) fn input_dims(&self) -> Option<Dims> {
        match self.inputs.as_slice() {
            [(call, _)] => {
                let layer = self.layers.get(self.calls.get(*call)?.layer)?;
                layer.output_dims(&[]).ok()?.into_iter().next()
            }
            _ => None,
        }
    }

    pub(crate) fn graph(&self) -> Result<Graph> {
        let mut graph = Graph::default();
        for layer in &self.layers {
            graph.add(layer.clone())?;
        }
        let mut made: Vec<Vec<EdgeId>> = Vec::new();
        for call in &self.calls {
            let layer = self.layers.get(call.layer);
            let edges = if layer.is_some_and(|l| l.class_name() == InputLayer::CLASS_NAME) {
                let dims = layer.map(|l| l.output_dims(&[])).transpose()?.unwrap_or_default();
                let dims = dims.into_iter().next().unwrap_or_default();
                vec![graph.input(call.layer, dims)?]
            } else {
                let inputs =
                    call.inputs.iter().map(|r| edge(&made, r)).collect::<Result<Vec<_>>>()?;
                graph.apply(call.layer, &inputs)?
            };
            made.push(edges);
        }
        let inputs = self.inputs.iter().map(|r| edge(&made, r)).collect::<Result<Vec<_>>>()?;
        graph.set_inputs(&inputs);
        let outputs = self.outputs.iter().map(|r| edge(&made, r)).collect::<Result<Vec<_>>>()?;
        graph.set_outputs(&outputs);
        Ok(graph)
    }

    /// Reads the `config` of a functional model.
    pub(crate) fn from_config(map: &serde_json::Map<String, Json>) -> Result<Self> {
        let list = map.get("layers").and_then(Json::as_array);
        let list =
            list.ok_or_else(|| Error::config("layers", "a model needs its list of layers"))?;
        let mut model = Self::default();
        let mut names: HashMap<String, usize> = HashMap::new();
        let mut pending: Vec<(usize, usize, Vec<History>)> = Vec::new();
        for (index, entry) in list.iter().enumerate() {
            let at = format!("layers[{index}]");
            let (layer, uses) = read_layer(entry).map_err(|e| e.under(&at))?;
            let name =
                layer.base().name.clone().ok_or_else(|| {
                    Error::config(&at, "a layer of a functional model needs a name")
                })?;
            let id = model.layers.len();
            if names.insert(name.clone(), id).is_some() {
                return Err(Error::config(&at, format!("two layers are called `{name}`")));
            }
            let is_input = layer.class_name() == InputLayer::CLASS_NAME;
            model.layers.push(layer);
            if is_input {
                pending.push((id, 0, Vec::new()));
            }
            pending.extend(uses.into_iter().enumerate().map(|(i, from)| (id, i, from)));
        }
        let mut done: HashMap<(usize, usize), usize> = HashMap::new();
        // Each round places every call whose inputs are placed; no progress means a cycle.
        while !pending.is_empty() {
            let before = pending.len();
            let mut waiting = Vec::new();
            for (layer, number, from) in pending {
                let inputs: Option<Vec<Reference>> = from
                    .iter()
                    .map(|(name, number, output)| {
                        let call = done.get(&(*names.get(name)?, *number))?;
                        Some((*call, *output))
                    })
                    .collect();
                match inputs {
                    Some(inputs) => {
                        done.insert((layer, number), model.calls.len());
                        model.calls.push(Call { layer, inputs });
                    }
                    None => waiting.push((layer, number, from)),
                }
            }
            if waiting.len() == before {
                let (layer, _, from) = waiting.swap_remove(0);
                let name = model.layers.get(layer).and_then(|l| l.base().name.clone());
                let from: Vec<&str> = from.iter().map(|(name, _, _)| name.as_str()).collect();
                return Err(Error::config(
                    format!("layers[{layer}].inbound_nodes"),
                    format!(
                        "layer `{}` reads {}, which is not there or depends on it",
                        name.unwrap_or_default(),
                        from.join(", ")
                    ),
                ));
            }
            pending = waiting;
        }
        let resolve = |key: &str| -> Result<(Vec<Reference>, Option<Vec<String>>)> {
            let mut out = Vec::new();
            let (stated, keys) = ends(map.get(key)).map_err(|e| e.under(key))?;
            for (name, number, output) in stated {
                let call = names.get(&name).and_then(|layer| done.get(&(*layer, number)));
                let call = call.ok_or_else(|| {
                    let known: Vec<&str> = names.keys().map(String::as_str).collect();
                    Error::config(key, sconce_core::registry::unknown("layer", &name, known))
                })?;
                out.push((*call, output));
            }
            Ok((out, keys))
        };
        (model.inputs, model.input_keys) = resolve("input_layers")?;
        (model.outputs, model.output_keys) = resolve("output_layers")?;
        if model.outputs.is_empty() {
            return Err(Error::config("output_layers", "a model needs at least one output"));
        }
        Ok(model)
    }

    /// Keras's JSON of layers, inputs and outputs.
    pub(crate) fn to_config(&self, graph: &Graph) -> Result<serde_json::Map<String, Json>> {
        let name_of = |layer: usize| graph.layers().get(layer).map_or("", |e| e.name.as_str());
        let number_of = |call: usize| {
            let layer = self.calls.get(call).map(|c| c.layer);
            self.calls.iter().take(call).filter(|c| Some(c.layer) == layer).count()
        };
        let history = |(call, output): &Reference| {
            let layer = self.calls.get(*call).map_or(0, |c| c.layer);
            json!([name_of(layer), number_of(*call), output])
        };
        let tensor = |reference: &Reference| {
            let node = graph.nodes().get(reference.0);
            let dims = node.and_then(|n| n.outputs.get(reference.1)).map(|e| graph.dims(*e));
            json!({ "class_name": "__keras_tensor__", "config": {
                "shape": dims, "dtype": "float32", "keras_history": history(reference),
            }})
        };
        let mut layers = Vec::new();
        for (index, entry) in graph.layers().iter().enumerate() {
            let mut layer = to_json(entry.layer.as_ref(), &entry.name, Some(&entry.build_dims))?;
            let uses = self.calls.iter().filter(|c| c.layer == index && !c.inputs.is_empty());
            let nodes: Vec<Json> = uses
                .map(|call| {
                    let args: Vec<Json> = call.inputs.iter().map(tensor).collect();
                    let args = if args.len() > 1 { json!([args]) } else { json!(args) };
                    json!({ "args": args, "kwargs": {} })
                })
                .collect();
            layer["name"] = json!(entry.name);
            layer["inbound_nodes"] = json!(nodes);
            layers.push(layer);
        }
        let flat = |references: &[Reference], keys: &Option<Vec<String>>| match (keys, references) {
            (Some(keys), all) => {
                let dict = keys.iter().cloned().zip(all.iter().map(history));
                Json::Object(dict.collect())
            }
            (None, [one]) => history(one),
            (None, many) => many.iter().map(history).collect(),
        };
        let mut map = serde_json::Map::new();
        map.insert("layers".into(), json!(layers));
        map.insert("input_layers".into(), flat(&self.inputs, &self.input_keys));
        map.insert("output_layers".into(), flat(&self.outputs, &self.output_keys));
        Ok(map)
    }

    /// For each call, its layer and the calls it reads; the calls that are inputs; those that are
    /// outputs.
    pub fn calls(&self) -> (Vec<LayerCall>, Vec<usize>, Vec<usize>) {
        let indices = |references: &[Reference]| references.iter().map(|r| r.0).collect();
        let calls = self.calls.iter().map(|c| (c.layer, indices(&c.inputs))).collect();
        (calls, indices(&self.inputs), indices(&self.outputs))
    }
}

fn edge(made: &[Vec<EdgeId>], (call, output): &Reference) -> Result<EdgeId> {
    made.get(*call).and_then(|edges| edges.get(*output)).copied().ok_or_else(|| {
        Error::config("", format!("the model refers to output {output} of a layer that has fewer"))
    })
}

/// A layer of a functional model and, for each of its uses, where its inputs come from.
fn read_layer(entry: &Json) -> Result<(Arc<dyn Layer>, Uses)> {
    let mut entry = object(entry.clone(), "a layer")?;
    let nodes = entry.shift_remove("inbound_nodes");
    let outer = entry.shift_remove("name");
    let mut value = Json::Object(entry);
    if let (Some(Json::String(name)), Some(config)) =
        (outer, value.get_mut("config").and_then(Json::as_object_mut))
    {
        config.entry("name").or_insert(json!(name));
    }
    let layer = from_json(&value)?;
    let mut uses = Vec::new();
    for (index, node) in nodes.iter().flat_map(|n| n.as_array()).flatten().enumerate() {
        let at = format!("inbound_nodes[{index}]");
        let kwargs = node.get("kwargs").and_then(Json::as_object);
        if let Some((key, _)) =
            kwargs.and_then(|k| k.iter().find(|(k, v)| !v.is_null() && *k != "training"))
        {
            return Err(Error::config(
                format!("{at}.kwargs.{key}"),
                "arguments other than tensors are not supported in a call of a layer",
            ));
        }
        let mut from = Vec::new();
        collect(node.get("args").unwrap_or(&Json::Null), &mut from)
            .map_err(|e| e.under(&format!("{at}.args")))?;
        if from.is_empty() {
            return Err(Error::config(at, "a call of a layer needs at least one tensor"));
        }
        uses.push(from);
    }
    Ok((layer, uses))
}

/// The tensors in a call's arguments, in order.
fn collect(value: &Json, out: &mut Vec<History>) -> Result<()> {
    match value {
        Json::Array(items) => items.iter().try_for_each(|item| collect(item, out)),
        Json::Object(map) if map.get("class_name") == Some(&json!("__keras_tensor__")) => {
            let history = value.pointer("/config/keras_history");
            out.extend(references(history)?);
            Ok(())
        }
        Json::Null => Ok(()),
        other => Err(Error::config("", format!("expected tensors, got {other}"))),
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
