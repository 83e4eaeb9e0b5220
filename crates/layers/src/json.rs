//! Layers as Keras's JSON: the keys that all layers share, and each layer's own.

use crate::entry::{LayerEntry, Options};
use crate::layer::Layers;
use crate::operations::Operations;
use crate::{InputLayer, regularizers::Regularizer};
use sconce_core::registry::{object, with_shared_keys};
use sconce_core::{DTypePolicy, Dims, Json, Part, Result};
use serde::Deserialize;

/// Keys that Keras writes into every layer's configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    #[serde(default)]
    name: Option<String>,
    #[serde(default = "yes")]
    trainable: bool,
    #[serde(default)]
    dtype: Option<Json>,
    #[serde(default)]
    autocast: Option<bool>,
    #[serde(default)]
    input_shape: Option<Vec<Option<usize>>>,
    #[serde(default)]
    batch_input_shape: Option<Vec<Option<usize>>>,
    #[serde(default)]
    activity_regularizer: Option<Regularizer>,
}

fn yes() -> bool {
    true
}

const COMMON: [&str; 7] = [
    "name",
    "trainable",
    "dtype",
    "autocast",
    "input_shape",
    "batch_input_shape",
    "activity_regularizer",
];

/// Splits a layer's configuration into the keys common to all layers and its own.
fn split_common(config: Json, keys: &[&str]) -> Result<(Options, Json)> {
    let mut own = object(config, "a layer's `config`")?;
    let mut common = serde_json::Map::new();
    for key in keys {
        if let Some(value) = own.shift_remove(*key) {
            common.insert(key.to_string(), value);
        }
    }
    let common: Common = sconce_core::json::parse(Json::Object(common))?;
    // Keras writes `autocast` only for layers that take integers; nothing here depends on it.
    let _ = common.autocast;
    let from_batch = common.batch_input_shape.map(|shape| shape.into_iter().skip(1).collect());
    let options = Options {
        name: common.name,
        trainable: common.trainable,
        policy: DTypePolicy::from_json(&common.dtype.unwrap_or_default())?,
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
        None | Some(Json::Null) => serde_json::json!({}),
        Some(config) => config.clone(),
    };
    let module = map.get("module").and_then(Json::as_str).unwrap_or_default();
    let is_operation = module.starts_with("keras.src.ops.");
    // Name is the only shared key of these in Keras; InputLayer's dtype is that of the data.
    let keys: &[&str] = match map.get("class_name") {
        Some(class) if is_operation || class == InputLayer::CLASS_NAME => &["name"],
        _ => &COMMON,
    };
    let (options, own) = split_common(config, keys).map_err(|e| e.under("config"))?;
    map.insert("config".to_string(), own);
    let json = Json::Object(map);
    let layer = match is_operation {
        true => Part::<Operations>::from_json(&json).and_then(|part| part.get().cloned()),
        false => Part::<Layers>::from_json(&json).and_then(|part| part.get().cloned()),
    };
    Ok(LayerEntry::new(layer.map_err(|e| with_shared_keys(e, keys))?, options))
}

/// A layer's complete JSON, as Keras writes it. `build_input` is the shape it was built for, if it has
/// one input.
pub fn to_json(entry: &LayerEntry, name: &str, build_input: Option<&Dims>) -> Result<Json> {
    let own = object(entry.layer().config()?, "a layer's `config`")?;
    let mut config = serde_json::Map::new();
    let module = entry.layer().module();
    let is_operation = module.is_some_and(|module| module.starts_with("keras.src.ops."));
    if is_operation || entry.class_name() == InputLayer::CLASS_NAME {
        config.extend(own);
        config.insert("name".into(), name.into());
        return Ok(serde_json::json!({
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
    let mut out = serde_json::json!({
        "module": module,
        "class_name": entry.class_name(),
        "config": config,
        "registered_name": registered_name(entry),
    });
    if let (Some(shape), Some(out)) = (build_input, out.as_object_mut()) {
        out.insert("build_config".into(), serde_json::json!({ "input_shape": shape }));
    }
    Ok(out)
}

/// That of a layer of the user's own; Keras writes one for its layers outside `keras.layers` too.
fn registered_name(entry: &LayerEntry) -> Option<&'static str> {
    let elsewhere = entry.layer().module().is_some_and(|module| module.starts_with("keras.src."));
    entry.layer().registered_name().or(elsewhere.then(|| entry.class_name()))
}
