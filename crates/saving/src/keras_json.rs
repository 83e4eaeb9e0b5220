//! Looking through Keras's JSON before anything is built from it: everything that cannot be used, in
//! one error.
//!
//! Source: `serialization_lib.py` of Keras 3.15.

use sconce_core::{Error, Json, Result};
use serde_json::Map;

/// Keys under which a layer holds other layers.
const INNER: [&str; 5] = ["layer", "cell", "cells", "forward_layer", "backward_layer"];

/// Refuses a serialized model (`{"module", "class_name", "config", "registered_name", ...}`) that
/// holds anything but supported layers of Keras: Python code, the author's own classes and functions,
/// operations on tensors, and layers for which `is_supported` says no to the class name. Models inside
/// models and layers inside layers are looked through too.
///
/// The class of the model itself is left to whoever builds it.
/// What is not a layer (initializers, optimizers, ...) is looked at for code and own classes only. To
/// use a model without its compile state, leave `compile_config` out.
///
/// # Errors
/// One [`Error::Config`] at the path `at` (where the model is in its document; "" if it is the
/// document), which lists all of it, each with its path and the name of its layer.
pub fn scan(model: &Json, at: &str, is_supported: &dyn Fn(&str) -> bool) -> Result<()> {
    let mut scan = Scan { root: at, is_supported, layer: None, found: Vec::new() };
    scan.value(model, at, true);
    if scan.found.is_empty() {
        return Ok(());
    }
    let count = match scan.found.len() {
        1 => "something that is".to_string(),
        many => format!("{many} things that are"),
    };
    Err(Error::config(at, format!("the model holds {count} not supported:{}", scan.found.concat())))
}

struct Scan<'a> {
    root: &'a str,
    is_supported: &'a dyn Fn(&str) -> bool,
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
            self.report(path, &format!("`{class}`: {CODE}"));
        } else if let Some(own) = own_thing(map, class) {
            self.report(path, &own);
        } else if is_operation(map) {
            let what = "an operator or a call of keras.ops in a functional model; use a layer";
            self.report(path, &format!("the operation `{class}`: {what}"));
        } else if is_layer && path != self.root && !(self.is_supported)(class) {
            self.report(path, &format!("the layer class `{class}` is not supported"));
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

const CODE: &str = "Python code, which is never run";

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

fn is_operation(map: &Map<String, Json>) -> bool {
    let module = map.get("module").and_then(Json::as_str).unwrap_or_default();
    ["keras.src.ops.", "keras.ops."].iter().any(|ops| format!("{module}.").starts_with(ops))
}

/// A class or function that is not Keras's: it was registered by its author, or comes from another
/// module.
fn own_thing(map: &Map<String, Json>, class: &str) -> Option<String> {
    let module = map.get("module").and_then(Json::as_str);
    let registered = map.get("registered_name").and_then(Json::as_str);
    if module.is_some_and(is_keras) && !registered.is_some_and(|name| name.contains('>')) {
        return None;
    }
    if class == "function" {
        let name = map.get("config").and_then(Json::as_str).or(registered).unwrap_or(class);
        return Some(format!("the author's own function `{name}`, which only Python can run"));
    }
    // JSON written by hand has neither key.
    let name = match (module, registered) {
        (None, None) => return None,
        (_, Some(name)) => name.to_string(),
        (Some(module), None) => format!("{module}.{class}"),
    };
    Some(format!("the author's own class `{name}`, which only Python can run"))
}

/// Python's marshalled code in base64, as Keras writes functions: the type byte of a code object, with
/// or without the flag of a reference, and then numbers with zero bytes.
fn is_marshalled(value: Option<&Json>) -> bool {
    let Some(Json::String(text)) = value else { return false };
    let starts = text.starts_with("4w") || text.starts_with("Yw");
    let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=\n".contains(c);
    starts && text.len() >= 32 && text.contains("AAAA") && text.chars().all(base64)
}
