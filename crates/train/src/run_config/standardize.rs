//! `"standardize": true`: a `Normalization` layer at the head of the model, so that whoever is given the
//! model gives it the data as they are.

use crate::model::Model;
use sconce_core::{Error, FirstValues, Json, Result, Tensor};
use sconce_data::Standardizer;
use sconce_layers::Normalization;
use sconce_model::Graph;
use serde_json::{Value, json};

/// The model behind a `Normalization` layer with the means and deviations of the training data. A
/// model whose input goes to one already is returned as it is.
pub(super) fn standardized(model: Model, statistics: &Standardizer) -> Result<Model> {
    let graph = model.network()?.graph().clone();
    let [input] = graph.inputs() else {
        let message =
            "needs a model with one input; make a Normalization layer for each of several";
        return Err(Error::config("", message));
    };
    let reads_input = graph.nodes().iter().find(|node| node.args.flat().contains(&input));
    let reader = reads_input.and_then(|node| graph.layers().get(node.layer));
    if let Some(entry) = reader.filter(|entry| entry.downcast::<Normalization>().is_some()) {
        tracing::info!(
            "the model begins with the layer {} already, which stays as it is",
            entry.name()
        );
        return Ok(model);
    }
    let name = free_name(&graph);
    let mut json = model.network()?.to_json()?;
    insert(&mut json, &name)?;
    let mut new = Model::from_json_value(&json)?;
    new.set_device(model.device());
    new.set_seed(model.seed());
    new.build_for(Some(graph.spec(*input)), FirstValues::Zeros)?;
    for parameter in model.store()?.parameters() {
        new.store()?.get(&parameter.path)?.set(parameter.var.as_tensor())?;
    }
    let width = statistics.mean.len();
    let set = |weight: &str, values: Vec<f64>| {
        let values = Tensor::from_vec(values, width, &sconce_core::Device::Cpu)?;
        new.store()?.get(&format!("{name}/{weight}"))?.set(&values)
    };
    set("mean", statistics.mean.clone())?;
    set("variance", statistics.deviation.iter().map(|d| d * d).collect())?;
    if let Some(compiled) = &model.compiled {
        new.compile_with(compiled.compile().clone())?;
        if let Some(state) = compiled.optimizer_state() {
            let variables: Vec<Tensor> = state.variables()?.into_iter().map(|(_, v)| v).collect();
            new.compiled_mut()?.optimizer()?.set_variables(&variables)?;
        }
    }
    Ok(new)
}

fn free_name(graph: &Graph) -> String {
    let taken = |name: &String| graph.layers().iter().any(|entry| entry.name() == name);
    let numbered = (1..).map(|i| format!("normalization_{i}"));
    let names = std::iter::once("normalization".to_string()).chain(numbered);
    names.into_iter().find(|name| !taken(name)).unwrap_or_default()
}

/// Puts the layer between the input layer of a model's JSON and everything that reads it.
fn insert(json: &mut Json, name: &str) -> Result<()> {
    let functional = json["class_name"] == "Functional";
    let Some(Value::Array(layers)) = json.pointer_mut("/config/layers") else {
        return Err(Error::config("", "the model's layers cannot be listed"));
    };
    let of_input = |layer: &Json| layer["class_name"] == "InputLayer";
    let place = layers.iter().position(of_input).map_or(0, |place| place + 1);
    let mut layer = json!({
        "module": "keras.layers", "class_name": "Normalization",
        "config": {"name": name, "axis": [-1]},
    });
    if functional {
        let input = layers.get(place.saturating_sub(1)).cloned().unwrap_or_default();
        let history = json!([input["name"], 0, 0]);
        layers.iter_mut().for_each(|layer| redirect(&mut layer["inbound_nodes"], &history, name));
        let tensor = json!({"class_name": "__keras_tensor__", "config": {
            "shape": input["config"]["batch_shape"], "dtype": input["config"]["dtype"],
            "keras_history": history,
        }});
        layer["name"] = name.into();
        layer["inbound_nodes"] = json!([{"args": [tensor], "kwargs": {}}]);
    }
    layers.insert(place, layer);
    Ok(())
}

/// Makes every reader of one tensor read the first output of another layer.
fn redirect(value: &mut Json, from: &Json, to: &str) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match key == "keras_history" && value == from {
                    true => *value = json!([to, 0, 0]),
                    false => redirect(value, from, to),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redirect(item, from, to)),
        _ => {}
    }
}
