//! Looking through Keras's JSON before anything is built from it: everything that cannot be used, in
//! one error.
//!
//! Source: `serialization_lib.py` of Keras 3.15.

use sconce_core::custom_objects::{is_registered, is_registered_class};
use sconce_core::{Error, Json, Result};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Map;
use std::fmt;

/// Reads JSON as Python writes it: `Infinity` and `-Infinity`, which JSON has no words for, are the
/// largest numbers there are, which are infinite to every type that models compute in.
///
/// # Errors
/// What is no JSON otherwise; `NaN`, which stands for no number; a key that stands twice in one object,
/// of which most readers drop one without a word.
pub fn parse(bytes: &[u8]) -> serde_json::Result<Json> {
    match serde_json::from_slice(bytes) {
        // Files without such words, nearly all, are read once and as they are.
        Err(_) if bytes.windows(8).any(|word| word == b"Infinity") => {
            serde_json::from_slice(&without_infinity(bytes))
        }
        read => read,
    }
    .map(|UniqueKeys(json)| json)
}

/// What an error of [`parse`] says.
pub fn explain_syntax(error: &serde_json::Error) -> String {
    match error.is_data() {
        true => error.to_string(),
        false => format!("this is not JSON: {error}"),
    }
}

/// A document whose objects hold each key once.
struct UniqueKeys(Json);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueKeysVisitor).map(Self)
    }
}

struct UniqueKeysVisitor;

impl<'de> Visitor<'de> for UniqueKeysVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Json, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Json, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(UniqueKeys(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Json, A::Error> {
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if map.contains_key(&key) {
                let message = format!("the key `{key}` stands twice in one object; leave one out");
                return Err(A::Error::custom(message));
            }
            let UniqueKeys(value) = members.next_value()?;
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

fn without_infinity(bytes: &[u8]) -> Vec<u8> {
    const LARGEST: &[u8] = b"1.7976931348623157e308";
    let mut out = Vec::with_capacity(bytes.len());
    let (mut at, mut in_string) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if in_string => {
                out.extend(bytes.get(at..(at + 2).min(bytes.len())).unwrap_or_default());
                at += 2;
            }
            b'I' if !in_string && bytes.get(at..).is_some_and(|b| b.starts_with(b"Infinity")) => {
                out.extend(LARGEST);
                at += b"Infinity".len();
            }
            byte => {
                in_string ^= *byte == b'"';
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// A class that a model is made of.
#[derive(Clone, Copy, Debug)]
pub enum Class<'a> {
    /// A layer, or a model as one.
    Layer(&'a str),
    /// An operation on tensors (`keras.src.ops...`).
    Operation(&'a str),
}

/// Keys under which a layer holds other layers.
const INNER: [&str; 5] = ["layer", "cell", "cells", "forward_layer", "backward_layer"];

/// Refuses a serialized model (`{"module", "class_name", "config", "registered_name", ...}`) that
/// holds anything but supported layers and operations of Keras: Python code, the author's own classes
/// and functions, and what `is_supported` says no to. Models inside
/// models and layers inside layers are looked through too.
///
/// The class of the model itself is left to whoever builds it.
/// What is not a layer (initializers, optimizers, ...) is looked at for code and own classes only. To
/// use a model without its compile state, leave `compile_config` out.
///
/// # Errors
/// One [`Error::Config`] at the path `at` (where the model is in its document; "" if it is the
/// document), which lists all of it, each with its path and the name of its layer.
pub fn scan(model: &Json, at: &str, is_supported: &dyn Fn(Class<'_>) -> bool) -> Result<()> {
    match find(model, at, is_supported).as_slice() {
        [] => Ok(()),
        found => Err(listed(at, found)),
    }
}

/// The error that says most about a model that cannot be built: the list of [`scan`] if it has several
/// entries or code, or else `first`, which is more exact about one thing and knows the nearest name.
pub fn explain(model: &Json, is_supported: &dyn Fn(Class<'_>) -> bool, first: Error) -> Error {
    match find(model, "", is_supported).as_slice() {
        [] => first,
        [one] if !one.contains(CODE) => first,
        found => listed("", found),
    }
}

fn find(model: &Json, at: &str, is_supported: &dyn Fn(Class<'_>) -> bool) -> Vec<String> {
    let mut scan = Scan { root: at, is_supported, layer: None, found: Vec::new() };
    scan.value(model, at, true);
    scan.found
}

fn listed(at: &str, found: &[String]) -> Error {
    let count = match found.len() {
        1 => "something that is".to_string(),
        many => format!("{many} things that are"),
    };
    Error::config(at, format!("the model holds {count} not supported:{}", found.concat()))
}

struct Scan<'a> {
    root: &'a str,
    is_supported: &'a dyn Fn(Class<'_>) -> bool,
    /// The name of the innermost layer around.
    layer: Option<String>,
    found: Vec<String>,
}

impl Scan<'_> {
    /// `is_layer`: the value stands where a layer must stand.
    fn value(&mut self, value: &Json, path: &str, is_layer: bool) {
        match value {
            Json::Array(items) if is_marshalled(items.first()) => self.report(path, CODE),
            Json::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.value(item, &format!("{path}[{i}]"), is_layer);
                }
            }
            Json::Object(map) => match map.get("class_name") {
                Some(Json::String(class)) => self.object(map, class, path, is_layer),
                _ => self.members(map, path),
            },
            _ => {}
        }
    }

    fn object(&mut self, map: &Map<String, Json>, class: &str, path: &str, is_layer: bool) {
        let is_layer = is_layer || is_layer_module(map, class);
        let outer = self.layer.clone();
        let name = map.get("config").and_then(|config| config.get("name")).and_then(Json::as_str);
        if is_layer && path != self.root {
            self.layer = name.map(str::to_string).or(self.layer.take());
        }
        // Nothing inside code is worth a line of its own.
        let mut is_code = false;
        if class == "Lambda" || class == "__lambda__" {
            is_code = true;
            let instead = if class == "Lambda" { LAMBDA } else { "" };
            self.report(path, &format!("`{class}`: {CODE}{instead}"));
        } else if let Some(own) = own_thing(map, class) {
            self.report(path, &own);
        } else if is_operation(map) && !(self.is_supported)(Class::Operation(class)) {
            let what = "an operator or a call of keras.ops in a functional model; use a layer";
            self.report(path, &format!("the operation `{class}`: {what}"));
        } else if is_operation(map) {
            // A supported one has nothing else to look at.
        } else if is_layer
            && path != self.root
            && !is_own(map)
            && !(self.is_supported)(Class::Layer(class))
        {
            self.report(path, &unsupported(map, class));
        } else if is_layer
            && path != self.root
            && let Some(what) = unsupported_policy(map, class)
        {
            self.report(path, &what);
        }
        if !is_code {
            self.members(map, path);
        }
        self.layer = outer;
    }

    fn members(&mut self, map: &Map<String, Json>, path: &str) {
        for (key, value) in map {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if key == "code" && is_marshalled(Some(value)) {
                self.report(&path, CODE);
            }
            let holds_layers = key == "layers" && value.is_array() || INNER.contains(&key.as_str());
            self.value(value, &path, holds_layers);
        }
    }

    fn report(&mut self, path: &str, what: &str) {
        let path = if path.is_empty() { "the model itself" } else { path };
        let layer =
            self.layer.as_ref().map(|name| format!(" (layer `{name}`)")).unwrap_or_default();
        self.found.push(format!("\n  {path}{layer}: {what}"));
    }
}

/// Keras's losses and metrics that are functions: it writes them as it writes a user's, and looks for
/// the name among its own first. Whether they can be used is left to whoever builds them.
const FUNCTIONS: [&str; 29] = [
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "concordance_correlation",
    "cosine_similarity",
    "ctc",
    "dice",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pearson_correlation",
    "poisson",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
    "tversky",
];

const CODE: &str = "Python code, which is never run";

const LAMBDA: &str = "; write it as a layer of your own (`#[derive(Config)]` and `impl Layer`), registered in Keras \
    under the same name, or use layers and operators that say the same";

/// What to do about a layer that is not supported.
fn unsupported(map: &Map<String, Json>, class: &str) -> String {
    let instead = match class {
        "JaxLayer" | "FlaxLayer" => {
            "it holds code for JAX; build the same of Keras's layers and copy the weights"
        }
        "TorchModuleWrapper" => {
            "it holds a PyTorch module; build the same of Keras's layers and copy the weights"
        }
        "TFSMLayer" => {
            "it holds a TensorFlow SavedModel; build the model of Keras's layers, or save its source as .keras"
        }
        // Old files say of no class whose it is.
        _ if map.get("module").is_none() => {
            return format!(
                "the layer class `{class}` is not supported{}. If it is the author's own: {OWN}",
                keys_of(map)
            );
        }
        _ => return format!("the layer class `{class}` is not supported"),
    };
    format!("the layer class `{class}` is not supported: {instead}")
}

/// Whether an object with this module is one of Keras's own, as far as it says.
fn is_keras(module: &str) -> bool {
    module == "keras" || module.starts_with("keras.")
}

fn is_layer_module(map: &Map<String, Json>, class: &str) -> bool {
    let module = map.get("module").and_then(Json::as_str).unwrap_or_default();
    let model = matches!(class, "Sequential" | "Functional" | "Model");
    let of = |package: &str| {
        let rest = module.strip_prefix("keras.src.").or(module.strip_prefix("keras."));
        rest.is_some_and(|rest| rest == package || rest.starts_with(&format!("{package}.")))
    };
    model && module == "keras" || of("layers") || of("models")
}

/// Another type than float32 or quantisation, which every layer of Keras can be set to.
fn unsupported_policy(map: &Map<String, Json>, class: &str) -> Option<String> {
    let config = map.get("config")?;
    let policy = match config.get("dtype") {
        // The type of the data is an input layer's own key.
        _ if class == "InputLayer" => None,
        Some(Json::String(name)) => Some(name.clone()),
        Some(policy @ Json::Object(_)) => policy.get("config").map(policy_name),
        _ => None,
    };
    let policy = policy.filter(|name| name != "float32");
    policy.map(|name| format!("the dtype policy `{name}`; only float32 is supported"))
}

/// "mixed_float16", or Keras's name for a quantised policy.
fn policy_name(config: &Json) -> String {
    let text = |key: &str| config.get(key).and_then(Json::as_str);
    match (text("name"), text("mode"), text("source_name")) {
        (Some(name), ..) => name.to_string(),
        (None, Some(mode), Some(source)) => format!("{mode}_from_{source}"),
        _ => "unknown".to_string(),
    }
}

/// Whether an object is registered in the scope that the file is read in.
fn is_own(map: &Map<String, Json>) -> bool {
    match map.get("registered_name").and_then(Json::as_str) {
        Some(name) => is_registered(name),
        None if map.contains_key("module") => false,
        None => map.get("class_name").and_then(Json::as_str).is_some_and(is_registered_class),
    }
}

/// The keys of a layer's configuration that are its own, for people: " (its configuration: `units`)".
fn keys_of(map: &Map<String, Json>) -> String {
    const SHARED: [&str; 5] =
        ["name", "trainable", "dtype", "batch_input_shape", "activity_regularizer"];
    let config = map.get("config").and_then(Json::as_object);
    let own = config.into_iter().flat_map(Map::keys).filter(|key| !SHARED.contains(&key.as_str()));
    let own: Vec<String> = own.map(|key| format!("`{key}`")).collect();
    match own.as_slice() {
        [] => String::new(),
        own => format!(" (its configuration: {})", own.join(", ")),
    }
}

fn is_operation(map: &Map<String, Json>) -> bool {
    let module = map.get("module").and_then(Json::as_str).unwrap_or_default();
    ["keras.src.ops.", "keras.ops."].iter().any(|ops| format!("{module}.").starts_with(ops))
}

/// What to do about code of somebody's own.
const UNREGISTERED: &str = ", which only Python can run; write it in Rust, register it under this \
    name in `CustomObjects`, and load the file within its `scope`";

const OWN: &str =
    "write it in Rust, register it in `CustomObjects`, and load the file within its `scope`";

/// A class or function that is not Keras's and not registered here: it was registered by its author,
/// or comes from another module.
fn own_thing(map: &Map<String, Json>, class: &str) -> Option<String> {
    let module = map.get("module").and_then(Json::as_str);
    let registered = map.get("registered_name").and_then(Json::as_str);
    if is_own(map) {
        return None;
    }
    if module.is_some_and(is_keras) && !registered.is_some_and(|name| name.contains('>')) {
        return None;
    }
    if class == "function" {
        let name = map.get("config").and_then(Json::as_str).or(registered).unwrap_or(class);
        if module == Some("builtins") && FUNCTIONS.contains(&name) {
            return None;
        }
        return Some(format!("the author's own function `{name}`{UNREGISTERED}"));
    }
    // JSON written by hand has neither key.
    let name = match (module, registered) {
        (None, None) => return None,
        (_, Some(name)) => name.to_string(),
        (Some(module), None) => format!("{module}.{class}"),
    };
    Some(format!("the author's own class `{name}`{}{UNREGISTERED}", keys_of(map)))
}

/// Python's marshalled code in base64, as Keras writes functions: the type byte of a code object, with
/// or without the flag of a reference, and then numbers with zero bytes.
fn is_marshalled(value: Option<&Json>) -> bool {
    let Some(Json::String(text)) = value else { return false };
    let starts = text.starts_with("4w") || text.starts_with("Yw");
    let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=\n".contains(c);
    starts && text.len() >= 32 && text.contains("AAAA") && text.chars().all(base64)
}
