//! Layers as Keras's JSON: the keys that all layers share, and each layer's own.

use crate::entry::{LayerEntry, Options};
use crate::layer::Layers;
use crate::operations::Operations;
use crate::{InputLayer, regularizers::Regularizer};
use sconce_core::json::Map;
use sconce_core::registry::{object, with_shared_keys};
use sconce_core::schema::{self, Definitions};
use sconce_core::{Config, ConfigValue, DTypePolicy, Dims, Json, Part, Result};
use serde_json::json;

/// Keys that Keras writes into every layer's configuration.
#[derive(Config)]
#[config(no_new, no_default, no_builders)]
struct Common {
    /// The layer's name in its model; left out, it is made from the class.
    name: Option<String>,
    /// Whether its weights are trained.
    #[config(default = true)]
    trainable: bool,
    /// The types it computes in and keeps its weights in: a policy of Keras.
    #[config(default)]
    dtype: DTypePolicy,
    /// Keras's flag of layers that take integers; nothing here depends on it.
    autocast: Option<bool>,
    /// The shape of one sample, for a first layer.
    input_shape: Option<Vec<Option<usize>>>,
    /// The same with the batch axis in front.
    batch_input_shape: Option<Vec<Option<usize>>>,
    /// A penalty on what comes out.
    activity_regularizer: Option<Regularizer>,
}

impl Common {
    /// The keys that layers of a class share with all others. Of operations that is the name only; an
    /// InputLayer's dtype is that of the data.
    fn keys(class_name: &str, is_operation: bool) -> Vec<&'static str> {
        let only_name = is_operation || class_name == InputLayer::CLASS_NAME;
        let fields = Self::FIELDS.iter().map(|field| field.key);
        fields.filter(|key| !only_name || *key == "name").collect()
    }
}

/// Splits a layer's configuration into the keys common to all layers and its own.
fn split_common(config: Json, keys: &[&str]) -> Result<(Options, Json)> {
    let mut own = object(config, "a layer's `config`")?;
    let mut common = Map::new();
    for key in keys {
        if let Some(value) = own.shift_remove(*key) {
            common.insert(key.to_string(), value);
        }
    }
    let common = Common::from_config(&common)?;
    // Keras writes `autocast` only for layers that take integers; nothing here depends on it.
    let _ = common.autocast;
    let from_batch = common.batch_input_shape.map(|shape| shape.into_iter().skip(1).collect());
    let options = Options {
        name: common.name,
        trainable: common.trainable,
        policy: common.dtype,
        input_shape: common.input_shape.or(from_batch),
        activity_regularizer: common.activity_regularizer,
    };
    Ok((options, Json::Object(own)))
}

/// Reads a layer from its serialized form (`{"class_name", "config", ...}`).
///
/// # Errors
/// With the JSON path of what is unknown or wrong, and the nearest known name.
pub fn from_json(value: &Json) -> Result<LayerEntry> {
    let mut map = object(value.clone(), "a layer")?;
    let config = match map.get("config") {
        None | Some(Json::Null) => json!({}),
        Some(config) => config.clone(),
    };
    let module = map.get("module").and_then(Json::as_str).unwrap_or_default();
    let is_operation = module.starts_with("keras.src.ops.");
    let class_name = map.get("class_name").and_then(Json::as_str).unwrap_or_default();
    let keys = Common::keys(class_name, is_operation);
    let (options, own) = split_common(config, &keys).map_err(|e| e.under("config"))?;
    map.insert("config".to_string(), own);
    let json = Json::Object(map);
    let layer = match is_operation {
        true => Part::<Operations>::from_json(&json).and_then(|part| part.get().cloned()),
        false => Part::<Layers>::from_json(&json).and_then(|part| part.get().cloned()),
    };
    Ok(LayerEntry::new(layer.map_err(|e| with_shared_keys(e, &keys))?, options))
}

/// A layer inside the configuration of another: a cell, a wrapped layer.
impl ConfigValue for LayerEntry {
    fn from_json(value: &Json) -> Result<Self> {
        from_json(value)
    }

    fn to_json(&self) -> Result<Json> {
        let made = sconce_core::names::snake_case(self.class_name());
        to_json(self, self.given_name().unwrap_or(&made), None)
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({"$ref": "#/$defs/layer"})
    }
}

/// The JSON Schema of each class of layers in its serialized form.
pub fn schema(definitions: &mut Definitions) -> Vec<Json> {
    let common = Common::schema(definitions);
    let layers = schema::configs::<Layers>(definitions);
    let operations = schema::configs::<Operations>(definitions);
    let of = |((names, mut config), is_operation): ((Vec<String>, Json), bool)| {
        let class_name = names.first().cloned().unwrap_or_default();
        for key in Common::keys(&class_name, is_operation) {
            config["properties"][key] = common["properties"][key].clone();
        }
        let name = format!("{}{class_name}", if is_operation { "operation_" } else { "layer_" });
        let mut reference = definitions.named(&name, |_| config.clone());
        for key in ["description", "required"] {
            if let Some(value) = config.get(key) {
                reference[key] = value.clone();
            }
        }
        let mut object = schema::object(json!({"enum": names}), reference);
        if is_operation {
            object["properties"]["module"] =
                json!({"type": "string", "pattern": "^keras\\.src\\.ops\\."});
            object["required"] = json!(["module", "class_name"]);
        }
        object
    };
    let layers = layers.into_iter().map(|layer| (layer, false));
    let operations = operations.into_iter().map(|operation| (operation, true));
    layers.chain(operations).map(of).collect()
}

/// A layer's complete JSON, as Keras writes it. `build_input` is the shape it was built for, if it has
/// one input.
pub fn to_json(entry: &LayerEntry, name: &str, build_input: Option<&Dims>) -> Result<Json> {
    let own = object(entry.layer().config()?, "a layer's `config`")?;
    let mut config = Map::new();
    let module = entry.layer().module();
    let is_operation = module.is_some_and(|module| module.starts_with("keras.src.ops."));
    if is_operation || entry.class_name() == InputLayer::CLASS_NAME {
        config.extend(own);
        config.insert("name".into(), name.into());
        return Ok(json!({
            "module": module, "class_name": entry.class_name(), "config": config,
            "registered_name": if is_operation { entry.class_name().into() } else { Json::Null },
        }));
    }
    config.insert("name".into(), name.into());
    if entry.layer().takes_trainable() {
        config.insert("trainable".into(), entry.is_trainable().into());
    }
    config.insert("dtype".into(), entry.policy().to_json());
    if let Some(regularizer) = entry.activity_regularizer() {
        config.insert("activity_regularizer".into(), regularizer.to_json()?);
    }
    config.extend(own);
    let mut out = json!({
        "module": module,
        "class_name": entry.class_name(),
        "config": config,
        "registered_name": registered_name(entry),
    });
    if let (Some(shape), Some(out)) = (build_input, out.as_object_mut()) {
        out.insert("build_config".into(), json!({ "input_shape": shape }));
    }
    Ok(out)
}

/// That of a layer of the user's own; Keras writes one for its layers outside `keras.layers` too.
fn registered_name(entry: &LayerEntry) -> Option<&'static str> {
    let elsewhere = entry.layer().module().is_some_and(|module| module.starts_with("keras.src."));
    entry.layer().registered_name().or(elsewhere.then(|| entry.class_name()))
}
