//! Seeds of configurations, in the forms that Keras writes them in.

use sconce_core::value::mismatch;
use sconce_core::{ConfigValue, Json, Result, schema::Definitions};
use serde_json::json;

/// `null`, a number, or a serialized `SeedGenerator`, of which its seed is taken.
pub fn from_json(json: &Json) -> Result<Option<u64>> {
    let generator = json.get("class_name").is_some_and(|name| name == "SeedGenerator");
    let seed = if generator { &json["config"]["seed"] } else { json };
    Option::<u64>::from_json(seed).map_err(|_| {
        mismatch("null, a whole number of at least 0 or a SeedGenerator as a seed", json)
    })
}

pub fn to_json(seed: &Option<u64>) -> Result<Json> {
    seed.to_json()
}

pub fn schema(_: &mut Definitions) -> Json {
    let seed = json!({"type": ["integer", "null"], "minimum": 0});
    json!({"anyOf": [seed, {
        "type": "object",
        "required": ["class_name", "config"],
        "properties": {
            "class_name": {"const": "SeedGenerator"},
            "config": {"type": "object", "properties": {"seed": seed}},
        },
    }]})
}
