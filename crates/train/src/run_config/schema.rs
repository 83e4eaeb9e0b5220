//! JSON Schema of parts that a registry names.

use crate::callbacks::Callbacks;
use crate::losses::Losses;
use crate::metrics::Metrics;
use crate::optimizers::Optimizers;
use schemars::{Schema, SchemaGenerator, json_schema};
use sconce_core::{Json, Kind};
use serde_json::{Map, json};

/// The keys of [`crate::Compile::from_json`].
pub(super) fn compile(_: &mut SchemaGenerator) -> Schema {
    // Every loss is a metric too, and some names depend on the loss.
    let names = ["accuracy", "acc", "crossentropy", "ce"];
    let one = part::<Metrics>(&names);
    let metrics = json_schema!({"anyOf": [
        one, {"type": "null"}, for_outputs(json_schema!({"anyOf": [one, list(one.clone()), {"type": "null"}]})),
    ]});
    json_schema!({
        "type": "object",
        "required": ["loss"],
        "additionalProperties": false,
        "properties": {
            "optimizer": part::<Optimizers>(&[]),
            "loss": for_outputs(part::<Losses>(&[])),
            "loss_weights": for_outputs(
                json_schema!({"description": "A factor on the loss.", "type": ["number", "null"]}),
            ),
            "metrics": metrics,
            "weighted_metrics": metrics,
            "run_eagerly": {"type": "boolean"},
            "steps_per_execution": {"type": "integer", "minimum": 1},
            "jit_compile": {"enum": ["auto", true, false]},
        },
    })
}

pub(super) fn callbacks(_: &mut SchemaGenerator) -> Schema {
    list(part::<Callbacks>(&[]))
}

pub(super) fn verbose(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"enum": ["auto", 0, 1, 2]})
}

/// One value, a list of one for each output, or an object by output name.
fn for_outputs(one: Schema) -> Schema {
    json_schema!({"anyOf": [
        one,
        {"type": "array", "items": {"anyOf": [one, {"type": "null"}]}},
        {
            "type": "object",
            "not": {"required": ["class_name"]},
            "additionalProperties": {"anyOf": [one, {"type": "null"}]},
        },
    ]})
}

fn list(items: Schema) -> Schema {
    json_schema!({"type": "array", "items": items})
}

/// A name, or an object with `class_name` and `config`, whose keys and defaults are those that the
/// registry's own types have.
fn part<K: Kind>(more_names: &[&str]) -> Schema {
    let mut names: Vec<&str> = more_names.to_vec();
    let mut objects = Vec::new();
    for entry in K::entries() {
        names.extend(entry.aliases);
        names.push(entry.class_name);
        let defaults = entry.defaults().unwrap_or_default();
        let keys: Map<String, Json> = defaults
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, default)| (key.clone(), json!({"default": default})))
            .collect();
        objects.push(json!({
            "type": "object",
            "required": ["class_name"],
            "additionalProperties": false,
            "properties": {
                "module": {}, "registered_name": {}, "build_config": {}, "compile_config": {},
                "shared_object_id": {},
                "class_name": {"const": entry.class_name},
                "config": {"type": ["object", "null"], "properties": keys},
            },
        }));
    }
    let mut alternatives = vec![json!({"enum": names})];
    alternatives.extend(objects);
    json_schema!({"anyOf": alternatives})
}
