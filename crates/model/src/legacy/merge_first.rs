//! A Sequential that begins with a `Merge` of other Sequential models, as Keras 1 wrote models of several
//! inputs, as a functional model of all their layers. Its files list the layers in the same order
//! (`flattened_layers`).

use sconce_core::{Error, Json, Result};
use serde_json::{Map, json};

/// The layers of a Sequential.
fn layers_of(model: &Map<String, Json>) -> Option<&Vec<Json>> {
    let config = model.get("config")?;
    config.as_array().or_else(|| config.get("layers")?.as_array())
}

fn is_merge_of_models(layer: &Json) -> bool {
    layer["class_name"] == "Merge" && layer["config"]["layers"].is_array()
}

/// Whether the first layer of a Sequential is a Merge of models.
pub(super) fn is_first(model: &Map<String, Json>) -> bool {
    layers_of(model).and_then(|layers| layers.first()).is_some_and(is_merge_of_models)
}

/// Puts a functional model in the place of a Sequential; its calls are in the old form.
///
/// # Errors
/// A merged model that is not Sequential or does not state the shape of its input.
pub(super) fn translate(model: &mut Map<String, Json>) -> Result<()> {
    let mut layers = Layers::default();
    let output = layers.stack(layers_of(model).map(Vec::as_slice).unwrap_or_default(), "layers")?;
    let name = model.get("config").and_then(|config| config.get("name")).cloned();
    let tensor = |name: &String| json!([name, 0, 0]);
    let config = json!({
        "name": name.unwrap_or_else(|| json!("merged")),
        "layers": layers.all,
        "input_layers": layers.inputs.iter().map(tensor).collect::<Vec<_>>(),
        "output_layers": [tensor(&output)],
    });
    model.insert("class_name".to_string(), "Functional".into());
    model.insert("config".to_string(), config);
    Ok(())
}

/// The layers of the functional model.
#[derive(Default)]
struct Layers {
    all: Vec<Json>,
    inputs: Vec<String>,
}

impl Layers {
    /// Calls a layer with the outputs of others.
    fn call(&mut self, layer: &Json, of: &[String], path: &str) -> Result<String> {
        let name = layer["config"]["name"].as_str().ok_or_else(|| {
            Error::config(path, "a layer of a merged model needs a `name` in its config")
        })?;
        if self.all.iter().any(|known| known["name"] == name) {
            let message =
                format!("two merged models have a layer `{name}`, which is not supported");
            return Err(Error::config(path, message));
        }
        let mut layer = layer.clone();
        let tensors: Vec<Json> = of.iter().map(|name| json!([name, 0, 0, {}])).collect();
        layer["inbound_nodes"] = if of.is_empty() { json!([]) } else { json!([tensors]) };
        layer["name"] = json!(name);
        self.all.push(layer);
        Ok(name.to_string())
    }

    /// The layers of a Sequential one after the other; gives the last.
    fn stack(&mut self, stack: &[Json], path: &str) -> Result<String> {
        let Some((first, rest)) = stack.split_first() else {
            return Err(Error::config(path, "a merged model has no layers"));
        };
        let mut last = if is_merge_of_models(first) {
            self.merge(first, &format!("{path}[0]"))?
        } else {
            let input = self.input(first, path)?;
            self.call(first, &[input], path)?
        };
        for (index, layer) in rest.iter().enumerate() {
            last = self.call(layer, &[last], &format!("{path}[{}]", index + 1))?;
        }
        Ok(last)
    }

    fn merge(&mut self, merge: &Json, path: &str) -> Result<String> {
        let path = format!("{path}.config.layers");
        let mut outputs = Vec::new();
        let models = merge["config"]["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (index, model) in models.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let stack = model.as_object().filter(|model| super::is_class(model, "Sequential"));
            let Some(stack) = stack.and_then(layers_of) else {
                let message =
                    format!("only Sequential models are merged; found {}", model["class_name"]);
                return Err(Error::config(path, message));
            };
            outputs.push(self.stack(stack, &format!("{path}.config"))?);
        }
        let mut merge = merge.clone();
        if let Some(config) = merge["config"].as_object_mut() {
            config.shift_remove("layers");
        }
        self.call(&merge, &outputs, &path)
    }

    /// The input layer of a model, of what its first layer says.
    fn input(&mut self, first: &Json, path: &str) -> Result<String> {
        let config = &first["config"];
        let shape = &config[super::OLD_SHAPE];
        if shape.is_null() {
            let message = "the first layer of a merged model states no `batch_input_shape`";
            return Err(Error::config(format!("{path}[0]"), message));
        }
        let name = format!("{}_input", config["name"].as_str().unwrap_or("merged"));
        let dtype = ["input_dtype", "dtype"].map(|key| config[key].as_str());
        let dtype = dtype.into_iter().flatten().next().unwrap_or("float32");
        let input = json!({"class_name": "InputLayer", "config": {
            "name": name, super::OLD_SHAPE: shape, "input_dtype": dtype}});
        self.inputs.push(name);
        self.call(&input, &[], path)
    }
}
